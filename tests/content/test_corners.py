"""Rare cases: other shapes of values, schemas of projects, and content that hardly fits."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab.content import (
    REQUIRED,
    TIPTAP,
    Attribute,
    MarkType,
    NodeType,
    Schema,
    from_html,
    from_json,
    from_markdown,
    from_text,
    to_html,
    to_json,
    to_markdown,
)
from collab.content.formats.html_elements import parse_html
from collab.content.shared_types.any_encoding import encode_any
from collab.content.shared_types.mark_keys import mark_key
from collab.content.shared_types.prosemirror import ProseMirrorLayout
from collab.content.shared_types.text_changes import Chunk, change_text, join_chunks, write_chunks
from collab.content.shared_types.values import plain
from collab.exceptions import Conflict, ContentError

from .samples import block, doc_of, li, mark, p, raw_doc, text

COMMENT = MarkType(
    name="comment", attributes={"id": Attribute(), "done": Attribute(default=False)}, overlaps=True
)


@pytest.mark.parametrize(
    ("id", "done", "hashed"),
    [
        ("a", False, "Q35Ah05V"),
        (1.5, True, "tD7Adn8B"),
        (-100000, None, "C8DYm1Pe"),
        ([1, {"x": 2**40}], "שלום", "eSqAtDuF"),
        (0.1, None, "weJz03yX"),
        (30000000000, 1, "6YKtskSy"),
    ],
)
def test_marks_are_hashed_as_in_javascript(id: Any, done: Any, hashed: str) -> None:
    assert mark_key(mark("comment", id=id, done=done), COMMENT) == f"comment--{hashed}"


def test_marks_without_attributes_are_hashed_too() -> None:
    key = mark_key({"type": "seen"}, MarkType(name="seen", overlaps=True))
    assert key.startswith("seen--") and len(key) == len("seen--") + 8


def test_values_are_encoded_as_lib0_does() -> None:
    assert encode_any([None, True, False, 64, -64, 1e300, "x"]) == (
        b"\x75\x07\x7e\x78\x79\x7d\x80\x01\x7d\xc0\x01\x7b\x7e7\xe4<\x88\x00u\x9c\x77\x01x"
    )
    with pytest.raises(TypeError, match="A bytes is not a JSON value"):
        encode_any(b"x")


def test_shared_types_become_plain_values() -> None:
    doc: Doc[Any] = Doc()
    root = doc.get("map", type=Map)
    root["a"] = Array([Text("x"), 1.0, b"\x00"])
    root["b"] = Doc()
    assert plain(root) == {"a": ["x", 1, "AA=="], "b": None}


def test_chunks_are_joined_and_written_with_their_embeds() -> None:
    chunks = [
        Chunk("a", {}),
        Chunk("", {"x": 1}),
        Chunk("b", {}),
        Chunk({"y": 1}, {}),
        Chunk("c", {}),
    ]
    assert join_chunks(chunks) == [Chunk("ab", {}), Chunk({"y": 1}, {}), Chunk("c", {})]
    written = Doc({"text": Text()}).get("text", type=Text)
    write_chunks(written, join_chunks(chunks))
    change_text([written], [join_chunks(chunks)], [Chunk({"y": 1}, {"bold": True})])
    assert written.diff() == [({"y": 1.0}, {"bold": True})]


def test_an_element_that_is_never_closed_is_closed_at_the_end() -> None:
    root = parse_html("<p>a</i><b>b")
    assert [element.tag for element in root.elements()] == ["p"]
    assert root.text() == "ab"


def test_conflicts_can_be_sent_between_processes() -> None:
    sent = pickle.loads(pickle.dumps(Conflict("no", wanted={"a": 1}, current=[2])))
    assert (str(sent), sent.wanted, sent.current) == ("no", {"a": 1}, [2])


# Documents as others left them.


def test_texts_without_letters_between_nodes_are_no_content() -> None:
    doc = raw_doc()
    paragraph = doc.get("default", type=XmlFragment).children.append(XmlElement("paragraph"))
    for child in (XmlText("a"), XmlElement("hardBreak"), XmlText(), XmlElement("hardBreak")):
        paragraph.children.append(child)
    value = to_json(doc, schema=TIPTAP)
    from_json(doc, None, value)
    assert len(paragraph.children) == 4
    value["content"][0]["content"] = [text("b")]
    from_json(doc, None, value)
    assert len(paragraph.children) == 1
    from_json(doc, None, doc_of(p(block("hardBreak"))))
    assert to_html(doc) == "<p><br></p>"


def test_marks_that_say_nothing_are_no_difference() -> None:
    doc = raw_doc(p(text("a", mark("ychange", x=1), "bold")))
    content = first(doc).children[0]
    assert isinstance(content, XmlText)
    content.format(0, 1, {"italic": None})
    before = doc.get_state()
    from_json(doc, None, doc_of(p(text("a", "bold"))))
    assert doc.get_state() == before


def first(doc: Doc[Any]) -> XmlElement:
    """Return the first block of the document itself."""
    child = doc.get("default", type=XmlFragment).children[0]
    assert isinstance(child, XmlElement)
    return child


def test_inline_nodes_that_a_format_does_not_show_stay_while_their_neighbours_do() -> None:
    schema = TIPTAP.extend(nodes=[NodeType(name="anchor", group="inline", is_inline=True)])
    doc = raw_doc(p(block("anchor"), "a b ", block("anchor"), "c", block("anchor")))
    from_markdown(doc, None, "a b c d", schema)
    assert kinds(doc) == "anchor text anchor text anchor text"
    from_markdown(doc, None, "a b x d", schema)
    assert kinds(doc) == "anchor text"


def kinds(doc: Doc[Any]) -> str:
    """Return the types of the nodes in the first block."""
    return " ".join(node["type"] for node in to_json(doc, schema=TIPTAP)["content"][0]["content"])


def test_a_block_that_a_format_splits_stays_as_long_as_all_of_it_does() -> None:
    callout = block("callout", p("a"), p("b"), kind="note")
    doc = raw_doc(callout, p("c"))
    from_markdown(doc, None, "a\n\nb\n\nC\n\nnew")
    assert to_json(doc, "default")["content"][0] == callout
    from_markdown(doc, None, "a\n\nB\n\nC\n\nnew")
    assert to_markdown(doc) == "a\n\nB\n\nC\n\nnew\n"
    assert "callout" not in to_html(doc)


def test_a_block_of_another_kind_takes_the_place_of_one() -> None:
    doc = raw_doc(p("a"), block("codeBlock", "x"))
    from_markdown(doc, None, "# a\n\n```\n```\n")
    assert to_html(doc) == "<h1>a</h1><pre><code></code></pre>"
    from_text(doc, None, "a\n\ny")
    assert to_html(doc) == "<h1>a</h1><pre><code></code></pre><p>y</p>"


def test_code_becomes_empty_in_a_format_that_does_not_say_code() -> None:
    doc = raw_doc(block("codeBlock", "x y"), p("z"))
    from_text(doc, None, "x\n\nz")
    assert to_html(doc) == "<pre><code>x</code></pre><p>z</p>"


def test_attributes_that_a_format_says_are_changed_by_it() -> None:
    doc = raw_doc(block("heading", "a", level=1, textAlign="right"))
    from_markdown(doc, None, "## a b")
    assert to_html(doc) == '<h2 style="text-align: right;">a b</h2>'


def test_cells_of_tables_are_matched_when_their_number_is_the_same() -> None:
    doc: Doc[Any] = Doc()
    from_html(doc, None, "<table><tr><th>a<td>b</table>")
    markdown = to_markdown(doc)
    from_markdown(doc, None, markdown.replace("b", "B"))
    assert "B" in to_html(doc)
    quote = raw_doc(block("blockquote", p("a"), p(), p("b")))
    from_markdown(quote, None, "> a\n>\n> c")
    assert to_html(quote) == "<blockquote><p>a</p><p>c</p></blockquote>"


# Schemas of projects.

_TEXT = NodeType(name="text", group="inline", is_inline=True)
_CODE = NodeType(name="code", content="text*", group="block", is_code=True, parse={"pre": {}})


def schema_of(*nodes: NodeType, marks: tuple[MarkType, ...] = ()) -> Schema:
    """Return a schema of some nodes."""
    return Schema(name="own", field="own", nodes=nodes, marks=marks, layout=ProseMirrorLayout())


def test_content_is_completed_with_what_its_parent_must_have() -> None:
    schema = schema_of(
        NodeType(name="doc", content="title section{1,2} (seal | footer)"),
        NodeType(name="seal", attributes={"by": Attribute(default=REQUIRED)}),
        _TEXT,
        NodeType(name="paragraph", content="text*", html="p", parse={"p": {}}),
        NodeType(name="title", content="text*", html="h1", parse={"h1": {}}),
        NodeType(name="section", content="paragraph+", html="section", parse={"section": {}}),
        NodeType(name="footer", html="footer", parse={"[data-footer]": {}}),
    )
    assert schema.first_line_type.name == "paragraph"
    doc: Doc[Any] = Doc()
    report = from_html(
        doc, None, "<h1>t</h1><p>a</p><section>b</section><section>c</section>", schema
    )
    assert to_html(doc, schema=schema).startswith("<h1>t</h1><section><p>a</p>")
    assert to_html(doc, schema=schema).endswith("</section><footer></footer>")
    assert sum(report.dropped.values()) <= 1


def test_items_without_a_list_get_one_each_time() -> None:
    doc: Doc[Any] = Doc()
    from_html(doc, None, "<li>a</li><p>b</p><li>c</li>")
    assert to_html(doc) == "<ul><li><p>a</p></li></ul><p>b</p><ul><li><p>c</p></li></ul>"


def test_marks_and_nodes_that_a_line_must_not_have_are_dropped_and_reported() -> None:
    schema = schema_of(
        NodeType(name="doc", content="(title | paragraph)+"),
        _TEXT,
        NodeType(name="paragraph", content="inline*", html="p", parse={"p": {}}),
        NodeType(name="title", content="text*", html="h1", parse={"h1": {}}, marks=("em",)),
        NodeType(name="dot", group="inline", is_inline=True, html="i", parse={"i": {}}),
        marks=(
            MarkType(name="em", html="em", parse={"em": {}}),
            MarkType(name="b", html="b", parse={"b": {}}),
        ),
    )
    doc: Doc[Any] = Doc()
    report = from_html(
        doc, None, "<h1>a<b>b<em>c</em></b><i></i><div> </div></h1><p>d<i></i></p>", schema
    )
    assert to_html(doc, schema=schema) == "<h1>ab<em>c</em></h1><p>d<i></i></p>"
    assert report.dropped == {"mark b": 2, "node dot": 1}


def test_nodes_that_fit_nowhere_are_unwrapped() -> None:
    schema = schema_of(
        NodeType(name="doc", content="paragraph+"),
        _TEXT,
        NodeType(name="paragraph", content="text*", html="p", parse={"p": {}}),
        NodeType(name="box", content="paragraph+", parse={"aside": {}}),
        NodeType(name="frame", attributes={"ref": Attribute(default=REQUIRED)}, content="box"),
        NodeType(name="rule", parse={"hr": {}}),
    )
    doc: Doc[Any] = Doc()
    report = from_html(doc, None, "<aside><p>a</p></aside><hr>", schema)
    assert to_html(doc, schema=schema) == "<p>a</p>"
    assert report.dropped == {"node box": 1, "node rule": 1}


def test_a_list_goes_below_an_item_that_has_none_yet() -> None:
    schema = schema_of(
        NodeType(name="doc", content="list+"),
        _TEXT,
        NodeType(name="paragraph", content="text*", html="p", parse={"p": {}}),
        NodeType(name="list", content="item+", html="ul", parse={"ul": {}}),
        NodeType(name="item", content="paragraph list?", html="li", parse={"li": {}}),
    )
    doc: Doc[Any] = Doc()
    from_html(doc, None, "<ul><li>a</li><ul><li>b</ul><ul><li>c</ul></ul>", schema)
    assert to_html(doc, schema=schema) == (
        "<ul><li><p>a</p><ul><li><p>b</p></li></ul></li>"
        "<li><p></p><ul><li><p>c</p></li></ul></li></ul>"
    )


def test_content_that_cannot_be_made_to_fit_is_refused() -> None:
    schema = schema_of(
        NodeType(name="doc", content="pair{2}"),
        _TEXT,
        NodeType(name="paragraph", content="text*", html="p", parse={"p": {}}),
        NodeType(name="pair", content="paragraph paragraph paragraph"),
    )
    with pytest.raises(ContentError, match="does not fit"):
        from_html(Doc(), None, "<p>a</p>", schema)


def test_a_text_schema_without_line_breaks_keeps_line_ends() -> None:
    schema = schema_of(
        NodeType(name="doc", content="paragraph+"),
        _TEXT,
        NodeType(name="paragraph", content="text*", html="p", parse={"p": {}}),
    )
    doc: Doc[Any] = Doc()
    from_text(doc, None, "a\nb\n\nc", schema)
    assert to_html(doc, schema=schema) == "<p>a\nb</p><p>c</p>"
    from_text(doc, None, "", schema)
    assert to_html(doc, schema=schema) == "<p></p>"


def test_selectors_that_are_not_valid_are_named() -> None:
    schema = TIPTAP.extend(nodes=[NodeType(name="x", group="block", parse={"a > b": {}})])
    with pytest.raises(ValueError, match="'a > b' of x is not valid"):
        from_html(Doc(), None, "x", schema)


def test_attributes_are_read_from_html_by_their_types() -> None:
    kinds = {
        "flag": Attribute(default=False, types=(bool,), html="data-flag"),
        "count": Attribute(default=0, types=(int,), html="data-count"),
        "any": Attribute(html="data-any"),
    }
    node = NodeType(name="x", group="block", attributes=kinds, html="div", parse={"[data-x]": {}})
    schema = TIPTAP.extend(nodes=[node])
    doc: Doc[Any] = Doc()
    from_html(
        doc,
        None,
        "<div data-x data-flag data-count=7 data-any=z></div>"
        "<div data-x data-flag=maybe data-count=many></div>",
        schema,
    )
    found = [each["attrs"] for each in to_json(doc, schema=schema)["content"]]
    assert found == [
        {"flag": True, "count": 7, "any": "z"},
        {"flag": False, "count": 0, "any": None},
    ]


def test_marks_that_exclude_each_other_do_not_come_together() -> None:
    schema = TIPTAP.extend(
        marks=[
            MarkType(name="sub", excludes=("sup",), html="sub", parse={"sub": {}}),
            MarkType(name="sup", html="sup", parse={"sup": {}}),
        ]
    )
    doc: Doc[Any] = Doc()
    from_html(doc, None, "<sup>a<sub>b</sub></sup><sub><sup>c</sup></sub><b><b>d</b></b>", schema)
    assert to_html(doc, schema=schema) == "<p><sup>a</sup><sub>bc</sub><strong>d</strong></p>"


def test_text_between_blocks_is_a_paragraph_in_markdown() -> None:
    doc = raw_doc(block("listItem", text("a"), block("bulletList", li("b"))))
    doc.get("default", type=XmlFragment).children.append(XmlText("c"))
    assert to_markdown(doc) == "a\n\n- b\n\nc\n"


def test_a_schema_can_do_without_what_an_editor_does_not_have() -> None:
    schema = TIPTAP.without("image", "highlight", "table", "tableRow", "tableCell", "tableHeader")
    doc: Doc[Any] = Doc()
    report = from_markdown(doc, None, "| a |\n| --- |\n| b |\n\n<mark>c</mark>", schema)
    assert to_html(doc, schema=schema) == "<p>a</p><p>b</p><p>c</p>"
    assert report.dropped == {"<table>": 1, "<tr>": 2, "<th>": 1, "<td>": 1, "<mark>": 1}
