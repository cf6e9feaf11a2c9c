"""Single blocks and single texts of documents."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from collab.content import (
    BLOCKNOTE,
    LEXICAL,
    MARKDOWN,
    PLAIN,
    QUILL,
    TIPTAP,
    Schema,
    blocks,
    edit_text,
    find_text,
    from_json,
    from_markdown,
    replace_text,
    to_json,
    to_markdown,
    to_text,
)
from collab.exceptions import ContentError, InvalidContent, TextNotFound

from .samples import block, doc_of, p, text

PAGE = "# Title\n\nhello **big world** x\n\n- a\n- b\n\nend\n"


def page(schema: Schema = TIPTAP, markdown: str = PAGE) -> Doc[Any]:
    """Return a document of Markdown."""
    doc: Doc[Any] = Doc()
    from_markdown(doc, None, markdown, schema)
    return doc


def test_blocks_are_a_sequence_of_those_at_the_top() -> None:
    found = blocks(page())
    assert [each.type for each in found] == ["heading", "paragraph", "bulletList", "paragraph"]
    assert [each.text for each in found[1:3]] == ["hello big world x", "ab"]
    assert repr(found[-1]) == "<Block paragraph at (3,): 'end'>"
    assert found[1].render("html") == "<p>hello <strong>big world</strong> x</p>"


def test_blocks_are_found_by_type_text_and_path_at_any_depth() -> None:
    found = blocks(page())
    assert [each.path for each in found.find(type="paragraph")] == [
        (1,),
        (2, 0, 0),
        (2, 1, 0),
        (3,),
    ]
    assert [each.path for each in found.find(type="listItem", text="b")] == [(2, 1)]
    assert found.at([2, 1, 0]).text == "b"
    with pytest.raises(ContentError, match=r"no block at \(7,\)"):
        found.at([7])


def test_blocks_are_edited_in_any_format() -> None:
    doc = page()
    found = blocks(doc)
    found[3].replace("the *end*", "markdown")
    found[3].insert_after("<p>more</p>", "html")
    found[0].insert_before("first", "text")
    found.insert(1, p("second"))
    found.append([p("last"), block("horizontalRule")])
    found.at([4, 0]).remove()
    assert to_markdown(doc) == (
        "first\n\nsecond\n\n# Title\n\nhello **big world** x\n\n- b\n\nthe *end*\n\n"
        "more\n\nlast\n\n---\n"
    )


def test_a_block_is_the_same_while_others_edit() -> None:
    doc = page()
    last = blocks(doc).find(text="end")[0]
    root = doc.get("default", type=XmlFragment)
    root.children.insert(0, XmlElement("horizontalRule"))
    last.replace("THE END", "text")
    assert to_text(doc).endswith("THE END")
    del root.children[len(root.children) - 1]
    with pytest.raises(ContentError, match="'end' is no longer in the document"):
        last.remove()


def test_blocks_with_ids_are_the_same_by_these() -> None:
    doc = page(BLOCKNOTE)
    found = blocks(doc, schema=BLOCKNOTE)
    item = found.find(type="bulletListItem", text="b")[0]
    assert item.id is not None
    assert found.find(id=item.id)[0].path == item.path
    found.insert(0, {"type": "paragraph", "content": "first"})
    item.replace("- B\n  - c", "markdown")
    assert found.find(id=item.id)[0].text == "B c"
    found.at([4, 0]).insert_before({"type": "paragraph", "content": "in"})
    found.at([5]).remove()
    assert to_markdown(doc, schema=BLOCKNOTE) == (
        "first\n\n# Title\n\nhello **big world** x\n\n- a\n\n- B\n\n  in\n\n  - c\n"
    )
    item.remove()
    with pytest.raises(ContentError, match="no longer"):
        item.remove()


def test_tables_of_blocks_have_text() -> None:
    doc = page(BLOCKNOTE, "| a |\n| --- |\n| b |\n")
    assert blocks(doc, schema=BLOCKNOTE)[0].text == "a b"


def test_a_block_that_does_not_fit_is_refused() -> None:
    doc = page()
    with pytest.raises(InvalidContent, match="has paragraph, listItem, but a bulletList must"):
        blocks(doc).at([2, 0]).replace("x", "text")
    assert to_markdown(doc) == PAGE


@pytest.mark.parametrize("schema", [PLAIN, QUILL])
def test_texts_have_no_blocks(schema: Schema) -> None:
    found = blocks(Doc(), schema=schema)
    for use in (lambda: len(found), lambda: list(found), lambda: found.append("x", "text")):
        with pytest.raises(ContentError, match="is a text, not blocks"):
            use()


def test_layouts_without_blocks_say_so() -> None:
    with pytest.raises(ContentError, match="is a text"):
        PLAIN.layout.describe_block("x")
    with pytest.raises(ContentError, match="is a text"):
        PLAIN.layout.wrap_blocks([])
    assert PLAIN.layout.anchors(Doc(), "text", PLAIN) == {}


@pytest.mark.parametrize("schema", [TIPTAP, BLOCKNOTE, QUILL, PLAIN, MARKDOWN])
def test_text_is_found_and_replaced_in_every_layout(schema: Schema) -> None:
    doc = page(schema, "one two\n\ntwo three two\n")
    assert [match.start for match in find_text(doc, None, "two", schema)][-1] > 0
    assert len(find_text(doc, None, "two", schema)) == 3
    assert replace_text(doc, None, "two", "2", schema, count=2) == 2
    assert replace_text(doc, None, "none", "x", schema) == 0
    assert to_text(doc, schema=schema).split() == ["one", "2", "2", "three", "two"]
    edit_text(doc, None, "three ", "", schema)
    assert to_text(doc, schema=schema).split() == ["one", "2", "2", "two"]


@pytest.mark.parametrize("schema", [TIPTAP, BLOCKNOTE, QUILL, PLAIN, MARKDOWN])
def test_a_match_stays_at_its_text_while_others_edit(schema: Schema) -> None:
    doc = page(schema, "two 漢字😀 two\n\nthree two\n")
    client: Doc[Any] = Doc()
    synced(doc, client)
    matches = find_text(doc, None, "two", schema)
    assert [match.text for match in matches] == ["two"] * 3
    assert repr(matches[0]).startswith("<Match 'two' in 'two 漢字😀 two")
    replace_text(client, None, "漢", "zwei é two 🇦🇹 ", schema)
    replace_text(client, None, "three", "two", schema)
    synced(doc, client)
    matches[1].replace("2")
    matches[2].replace("")
    matches[0].replace("ONE")
    assert to_text(doc, schema=schema).split() == [
        "ONE",
        "zwei",
        "é",
        "two",
        "🇦🇹",
        "字😀",
        "2",
        "two",
    ]
    with pytest.raises(TextNotFound, match="'two' was changed or deleted since it was found"):
        matches[0].replace("x")


def synced(one: Doc[Any], other: Doc[Any]) -> None:
    """Give two documents what they lack of each other."""
    other.apply_update(one.get_update(other.get_state()))
    one.apply_update(other.get_update(one.get_state()))


def test_a_match_keeps_what_others_write_at_its_ends() -> None:
    for number in range(20):
        doc = page(PLAIN, "abc")
        # The order of letters written at one place depends on the numbers of the clients.
        client: Doc[Any] = Doc(client_id=1 + number)
        synced(doc, client)
        [match] = find_text(doc, None, "b", PLAIN)
        replace_text(client, None, "b", "<b>", PLAIN)
        synced(doc, client)
        match.replace("B")
        assert to_text(doc, schema=PLAIN) == "a<B>c"


@pytest.mark.parametrize("change", ["bXcd", "bd", "acd"])
def test_a_match_that_others_have_changed_is_not_replaced(change: str) -> None:
    doc = page(TIPTAP, "abcd\n\nend")
    [match] = find_text(doc, None, "bc")
    edit_text(doc, None, "abcd", change)
    with pytest.raises(TextNotFound, match="'bc' was changed or deleted"):
        match.replace("x")
    [match] = find_text(doc, None, "end")
    blocks(doc)[1].remove()
    with pytest.raises(TextNotFound, match="'end' was changed or deleted"):
        match.replace("x")


def test_a_match_is_beside_inline_nodes_and_not_of_them() -> None:
    doc: Doc[Any] = Doc()
    mention = block("mention", id="1", label="Ann", mentionSuggestionChar="@")
    from_json(doc, None, doc_of(p("one ", mention, " two"), block("horizontalRule"), p("two")))
    assert find_text(doc, None, "\ufffc") == []
    first, last = find_text(doc, None, "two")
    last.replace("3")
    edit_text(doc, None, "one ", "")
    first.replace("2")
    assert to_markdown(doc) == "@Ann 2\n\n---\n\n3\n"


def test_a_match_of_an_open_transaction_is_found() -> None:
    doc = page(TIPTAP, "one two")
    with doc.transaction():
        [match] = find_text(doc, None, "two")
        edit_text(doc, None, "one", "1")
        match.replace("2")
    assert to_text(doc) == "1 2"


def test_an_inline_node_after_texts_of_equal_marks_is_a_block_of_its_own() -> None:
    doc: Doc[Any] = Doc()
    paragraph = doc.get("default", type=XmlFragment).children.append(XmlElement("paragraph"))
    letters = paragraph.children.append(XmlText("ab"))
    letters.format(0, 1, {"bold": {}})
    letters.format(0, 1, {"bold": None})
    paragraph.children.append(XmlElement("hardBreak"))
    paragraph.children.append(XmlText("c"))
    [found] = blocks(doc).find(type="hardBreak")
    found.remove()
    assert to_text(doc) == "abc"


def test_a_replacement_has_the_marks_of_the_text_that_it_replaces() -> None:
    doc = page()
    assert replace_text(doc, None, "ig wor", "IG WOR") == 1
    assert replace_text(doc, None, "lo b", "LO B") == 1
    assert to_markdown(doc).splitlines()[2] == "helLO B**IG WORld** x"


def test_embeds_of_a_delta_stay() -> None:
    doc: Doc[Any] = Doc()
    delta = [{"insert": "a "}, {"insert": {"image": "/x.png"}}, {"insert": " b\n"}]
    from_json(doc, None, delta, QUILL)
    edit_text(doc, None, "b", "c", QUILL)
    assert to_json(doc, schema=QUILL)[1:] == [{"insert": {"image": "/x.png"}}, {"insert": " c\n"}]


def test_an_edit_that_does_not_match_says_what_is_there() -> None:
    doc = page()
    with pytest.raises(TextNotFound, match="most like it is 'hello big world x'"):
        edit_text(doc, None, "hello bog world", "x")
    with pytest.raises(TextNotFound, match="'l' is there 4 times; give more of it: 'Title'"):
        edit_text(doc, None, "l", "x")
    long = page(PLAIN, "\n".join([f"{'line ' * 100}", f"{'x ' * 500}needle{' x' * 500}", "end"]))
    with pytest.raises(TextNotFound) as caught:
        edit_text(long, None, "a needl in the hay", "x", PLAIN)
    assert "needle" in str(caught.value) and len(str(caught.value)) < 400
    with pytest.raises(TextNotFound, match="has no text"):
        edit_text(Doc(), None, "l", "x")
    for call in (replace_text, edit_text):
        with pytest.raises(ValueError, match="must not be empty"):
            call(doc, None, "", "x")


def test_inline_nodes_are_one_letter() -> None:
    doc: Doc[Any] = Doc()
    mention = block("mention", id="1", label="Ann", mentionSuggestionChar="@")
    from_json(doc, None, doc_of(p("a ", mention, text(" b", "bold"))))
    assert find_text(doc, None, "b")[0].line == "a \ufffc b"
    edit_text(doc, None, " b", "!")
    assert to_text(doc) == "a @Ann!"


def test_lexical_is_read_only() -> None:
    for call in (
        lambda: from_json(Doc(), None, {}, LEXICAL),
        lambda: from_markdown(Doc(), None, "x", LEXICAL),
        lambda: replace_text(Doc(), None, "x", "y", LEXICAL),
        lambda: LEXICAL.layout.letters(Doc(), "root"),
    ):
        with pytest.raises(ContentError, match="can be read, not written"):
            call()
