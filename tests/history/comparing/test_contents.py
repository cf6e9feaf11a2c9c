"""States compared by content: blocks, letters, authors, values, and their HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab import content
from collab.content.trees import Node, children
from collab.exceptions import ContentError
from collab.history.comparing.blocks import ComparedBlock, compare_trees
from collab.history.comparing.changes import Comparison
from collab.history.comparing.contents import compare_states
from collab.history.keeping.states import encode
from collab_storage.authorship import AuthorRange

CLASSES = re.compile(r' class="collab-(?:added|removed|moved|moved-away|formatted)[ a-z0-9-]*"')


def compare(
    old: Doc[Any] | bytes,
    new: Doc[Any],
    schema: Any = None,
    ranges: list[AuthorRange] | None = None,
) -> Comparison:
    then = old if isinstance(old, bytes) else old.get_update()
    states = [encode(then)], [encode(new.get_update())]
    return compare_states(states, None, schema, ranges or [])


def rich(old: str, new: str, schema: Any = content.TIPTAP) -> Comparison:
    doc: Doc[Any] = Doc()
    content.replace(doc, None, old, format="html", schema=schema)
    then = doc.get_update()
    content.replace(doc, None, new, format="html", schema=schema)
    return compare(then, doc, schema)


def inside(found: Comparison, root: str = "default") -> str:
    """Return the HTML of one root, without classes."""
    start = f'<div class="collab-root" data-root="{root}">'
    assert found.html.startswith(start) and found.html.endswith("</div>")
    return CLASSES.sub("", found.html.removeprefix(start).removesuffix("</div>"))


def kinds(found: Comparison) -> list[tuple[str, Any, Any]]:
    return [(change.kind.value, change.old_path, change.new_path) for change in found.changes]


def test_letters_of_a_changed_block_are_marked() -> None:
    found = rich("<h1>Plan</h1><p>We meet on Monday.</p>", "<h1>Plan</h1><p>We meet on Friday.</p>")
    assert inside(found) == ("<h1>Plan</h1><p>We meet on <del>Mon</del><ins>Fri</ins>day.</p>")
    assert kinds(found) == [("changed", (1,), (1,))]
    assert found.json == [
        {
            "kind": "changed",
            "root": "default",
            "old_path": [1],
            "new_path": [1],
            "old_type": "paragraph",
            "new_type": "paragraph",
            "pieces": [
                {"kind": "kept", "text": "We meet on "},
                {"kind": "removed", "text": "Mon"},
                {"kind": "added", "text": "Fri", "by": None},
                {"kind": "kept", "text": "day."},
            ],
            "attributes": {},
            "old": None,
            "new": None,
        }
    ]


def test_blocks_that_come_and_go_are_marked() -> None:
    found = rich("<p>one</p><p>two</p><p>three</p>", "<p>one</p><p>three</p><hr><p>four</p>")
    assert inside(found) == (
        "<p>one</p><p><del>two</del></p><p>three</p><ins><hr></ins><p><ins>four</ins></p>"
    )
    assert kinds(found) == [("removed", (1,), None), ("added", None, (2,)), ("added", None, (3,))]


def test_a_block_that_moved_is_in_both_places() -> None:
    found = rich("<p>one</p><p>two</p><p>three</p>", "<p>two</p><p>three</p><p>one</p>")
    assert inside(found) == "<p><del>one</del></p><p>two</p><p>three</p><p><ins>one</ins></p>"
    [change] = found.changes
    assert kinds(found) == [("moved", (0,), (2,))]
    assert [piece.text for piece in change.pieces] == ["one"]


def test_items_of_lists_and_cells_of_tables_are_compared() -> None:
    found = rich(
        "<ul><li>one</li><li>two</li></ul><table><tr><td>a b</td></tr></table>",
        "<ul><li>one</li><li>new</li><li>two</li></ul><table><tr><td>a c</td></tr></table>",
    )
    assert kinds(found) == [("added", None, (0, 1)), ("changed", (1, 0, 0, 0), (1, 0, 0, 0))]
    assert "<li><p><ins>new</ins></p></li><li><p>two</p></li>" in inside(found)
    assert "<p>a <del>b</del><ins>c</ins></p>" in inside(found)
    assert found.changes[0].pieces[0].text == "new"


def test_the_lines_of_an_added_list_are_apart() -> None:
    [change] = rich("<p>x</p>", "<p>x</p><ul><li>one</li><li>two</li></ul>").changes
    assert "".join(piece.text for piece in change.pieces) == "one\ntwo"


def test_types_attributes_and_marks_that_change_are_listed() -> None:
    found = rich("<p>the same text</p>", "<h2>the <b>same</b> text</h2>")
    [change] = found.changes
    assert (change.old_type, change.new_type) == ("paragraph", "heading")
    assert change.attributes["level"] == (None, 2)
    assert inside(found) == "<h2>the <span><strong>same</strong></span> text</h2>"
    assert found.json[0]["pieces"][1] == {
        "kind": "formatted",
        "text": "same",
        "marks": [{"type": "bold"}],
        "old_marks": [],
    }
    [changed] = rich("<ol><li>one</li></ol>", '<ol start="4"><li>one</li></ol>').changes
    assert changed.attributes == {"start": (1, 4)} and not changed.pieces


def test_a_block_without_text_that_changes_is_replaced() -> None:
    found = rich('<img src="/a.png">', '<img src="/b.png">')
    assert inside(found) == '<del><img src="/a.png"></del><ins><img src="/b.png"></ins>'
    assert found.changes[0].attributes == {"src": ("/a.png", "/b.png")}


def test_blocks_without_text_are_compared_in_their_order() -> None:
    found = rich('<img src="/a.png"><img src="/b.png">', '<img src="/c.png"><img src="/d.png">')
    assert kinds(found) == [("changed", (0,), (0,)), ("changed", (1,), (1,))]
    both = rich('<img src="/a.png"><hr>', '<img src="/c.png"><p></p>')
    assert [kind for kind, *_ in kinds(both)][:1] == ["changed"]


def test_nodes_in_the_text_are_compared() -> None:
    mention = '<span data-type="mention" data-id="{0}" data-label="{0}">@{0}</span>'
    found = rich(f"<p>To {mention.format('ann')}, ok</p>", f"<p>To {mention.format('ben')}, ok</p>")
    assert [piece.node and piece.node["attrs"]["id"] for piece in found.changes[0].pieces] == [
        None,
        "ann",
        "ben",
        None,
    ]
    assert re.fullmatch(
        r"<p>To <del><span .*</span></del><ins><span .*</span></ins>, ok</p>", inside(found)
    )
    assert found.json[0]["pieces"][1]["node"]["type"] == "mention"


def test_blocks_with_an_id_are_the_same_one_wherever_they_are() -> None:
    doc: Doc[Any] = Doc()
    schema = content.BLOCKNOTE
    html = "<h1>Title</h1><p>one</p><p>two</p><p>three</p>"
    content.replace(doc, None, html, format="html", schema=schema)
    then, blocks = doc.get_update(), content.to_json(doc, None, schema)
    moved = [blocks[3], blocks[0], blocks[1], blocks[2]]
    moved[0]["content"] = [{"type": "text", "text": "entirely different", "styles": {}}]
    content.replace(doc, None, moved, format="json", schema=schema)
    found = compare(then, doc, schema)
    [change] = found.changes
    assert kinds(found) == [("moved", (3,), (0,))]
    assert [piece.kind.value for piece in change.pieces] == ["removed", "added"]
    assert "<p><del>three</del></p>" in inside(found, "document-store")


def test_a_block_of_blocks_that_moved_is_moved_as_a_whole() -> None:
    def quote(text: str) -> Node:
        inner = {"type": "paragraph", "content": [{"type": "text", "text": text}]}
        return {"type": "section", "attrs": {"id": "q"}, "content": [inner]}

    one, two = ({"type": "paragraph", "content": [{"type": "text", "text": t}]} for t in "ab")
    old = {"type": "doc", "content": [quote("before"), one, two]}
    new = {"type": "doc", "content": [one, two, quote("after")]}
    blocks = compare_trees(old, new, content.TIPTAP, {})
    assert [block.kind for block in blocks] == ["moved", None, None, "moved"]
    assert blocks[0].partner is blocks[3] and not blocks[3].pieces


@pytest.mark.parametrize("schema", [content.PLAIN, content.MARKDOWN])
def test_texts_are_compared_by_line(schema: Any) -> None:
    doc: Doc[Any] = Doc()
    root = doc.get("text", type=Text)
    root.insert(0, "# Title\none <b>\n")
    then = doc.get_update()
    root.insert(0, "new\n")
    found = compare(then, doc, schema)
    assert kinds(found) == [("added", None, (0,))]
    assert inside(found, "text") == (
        "<p><ins>new</ins></p><p># Title</p><p>one &lt;b&gt;</p><p></p>"
    )


def test_formats_of_a_text_are_marks() -> None:
    doc: Doc[Any] = Doc()
    root = doc.get("t", type=Text)
    root.insert(0, "one two three")
    root.insert_embed(13, {"image": "x"})
    then = doc.get_update()
    root.format(0, 3, {"bold": True})
    root.format(4, 7, {"color": "red", "link": {"href": "/x"}})
    root.format(13, 14, {"bold": True})
    found = compare(then, doc)
    [change] = found.changes
    assert [(p.kind.value, [m["type"] for m in p.marks]) for p in change.pieces] == [
        ("formatted", ["bold"]),
        ("kept", []),
        ("formatted", ["color", "link"]),
        ("kept", []),
        ("formatted", ["bold"]),
    ]
    assert "<strong>one</strong>" in found.html


def test_quill_is_compared_as_blocks() -> None:
    doc: Doc[Any] = Doc()
    content.replace(
        doc, None, "<p>one</p><ul><li>two</li></ul>", format="html", schema=content.QUILL
    )
    then = doc.get_update()
    content.replace(
        doc, None, "<p>one 1</p><ul><li>two</li></ul>", format="html", schema=content.QUILL
    )
    assert inside(compare(then, doc, content.QUILL), "quill") == (
        "<p>one<ins> 1</ins></p><ul><li><p>two</p></li></ul>"
    )


def test_roots_without_a_schema_are_compared_as_what_they_are() -> None:
    doc: Doc[Any] = Doc()
    doc.get("map", type=Map)["title"] = "My page"
    doc.get("list", type=Array).extend([1, 2])
    xml = doc.get("xml", type=XmlFragment)
    xml.children.append(XmlElement("note", contents=[XmlText("a note")]))
    then = doc.get_update()
    doc.get("map", type=Map)["title"] = "Our page"
    doc.get("map", type=Map)["more"] = {"<b>": [1]}
    doc.get("list", type=Array).pop()
    xml.children[0].children[0].insert(2, "big ")
    found = compare(then, doc)
    assert [
        (change.root, *kind) for change, kind in zip(found.changes, kinds(found), strict=True)
    ] == [
        ("list", "removed", (1,), None),
        ("map", "added", None, ("more",)),
        ("map", "changed", ("title",), ("title",)),
        ("xml", "changed", (0,), (0,)),
    ]
    assert "<dt>title</dt><dd><del" in found.html and "&lt;b&gt;" in found.html
    assert "a <ins>big </ins>note" in CLASSES.sub("", found.html)
    empty = compare(Doc(), doc)
    assert {change.kind.value for change in empty.changes} == {"added"}
    assert {change.kind.value for change in compare(doc, Doc()).changes} == {"removed"}


def test_a_root_that_is_another_thing_is_compared_by_value() -> None:
    one: Doc[Any] = Doc()
    one.get("x", type=Text).insert(0, "text 😀")
    other: Doc[Any] = Doc()
    other.get("x", type=Map)["a"] = 1
    [change] = compare(one, other).changes
    assert (change.old, change.new) == ("text 😀", {"a": 1})


def test_authors_of_added_letters_have_classes() -> None:
    doc: Doc[Any] = Doc(client_id=1)
    root = doc.get("t", type=Text)
    root.insert(0, "one")
    then, now = doc.get_update(), datetime.now(UTC)
    root.insert(3, " two")
    root.insert(7, " three")
    ranges = [AuthorRange(1, 3, 7, "7", now, now)]
    found = compare(then, doc, None, ranges)
    assert found.users == ["7", None]
    assert '<ins class="collab-added author-0"> two</ins>' in found.html
    assert '<ins class="collab-added author-1"> three</ins>' in found.html
    added = compare(Doc(), doc, None, ranges)
    assert [piece.by for piece in added.changes[0].pieces] == [None, "7", None]


def test_nothing_in_a_document_gets_into_html_unescaped() -> None:
    evil = '"><script>alert(1)</script>'
    doc: Doc[Any] = Doc()
    doc.get(evil, type=Map)[evil] = evil
    doc.get("t", type=Text).insert(0, evil, {"collab-added": {"author": evil}, evil: evil})
    xml = doc.get("default", type=XmlFragment)
    for name in ("paragraph", "image", evil, "text", "a b"):
        element = XmlElement(name, {evil: evil, "src": f"javascript:{evil}", "author": evil})
        xml.children.append(element)
        element.children.append(XmlText(evil))
        element.children.append(XmlElement("text"))
        formats = {evil: {"author": evil}, "link": {"href": "javascript:x"}}
        cast(XmlText, element.children[0]).format(0, 5, formats)
    for old, new in ((Doc(), doc), (doc, Doc()), (doc, doc)):
        for schema in (None, content.TIPTAP):
            html = compare(old, new, schema).html
            assert "<script" not in html and "javascript:x" not in html


def test_nodes_too_deep_are_refused() -> None:
    doc: Doc[Any] = Doc()
    parent: Any = doc.get("default", type=XmlFragment)
    for _ in range(300):
        parent.children.append(XmlElement("blockquote"))
        parent = parent.children[0]
    with pytest.raises(ContentError):
        compare(Doc(), doc, content.TIPTAP)


NODES = st.recursive(
    st.builds(
        lambda name, text, id: (
            {"type": name}
            | ({"attrs": {"id": id}} if id else {})
            | ({"content": [{"type": "text", "text": text}]} if text else {})
        ),
        st.sampled_from(["paragraph", "heading", "horizontalRule", "other"]),
        st.sampled_from(["", "one two", "one two three", "four", "a b c d"]),
        st.sampled_from([None, None, "1", "2", "3"]),
    ),
    lambda inner: st.builds(
        lambda name, content: {"type": name, "content": content},
        st.sampled_from(["blockquote", "bulletList", "other"]),
        st.lists(inner, min_size=1, max_size=5),
    ),
    max_leaves=20,
)
TREES = st.lists(NODES, max_size=6).map(lambda nodes: {"type": "doc", "content": nodes})


def sides(blocks: Sequence[ComparedBlock], side: str) -> list[Node]:
    """Return the nodes of one side of compared blocks."""
    nodes: list[Node] = []
    for block in blocks:
        node = getattr(block, side)
        is_elsewhere = block.partner is not None if side == "new" else False
        moved_here = side == "old" and block.kind == "moved" and block.partner is None
        if node is None or is_elsewhere or moved_here:
            continue
        inner = node if not block.blocks else node | {"content": sides(block.blocks, side)}
        nodes.append({key: value for key, value in inner.items() if value != []})
    return nodes


@given(TREES, TREES)
def test_compared_blocks_are_both_trees(old: Node, new: Node) -> None:
    blocks = compare_trees(old, new, content.TIPTAP, {})
    assert sides(blocks, "old") == children(old)
    assert sides(blocks, "new") == children(new)


@given(TREES)
def test_a_tree_does_not_differ_from_itself(tree: Node) -> None:
    assert all(block.kind is None for block in compare_trees(tree, tree, content.TIPTAP, {}))
