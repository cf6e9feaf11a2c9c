"""Documents of BlockNote: each of its blocks, in every format and back."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, XmlFragment

from collab.content import (
    BLOCKNOTE,
    NodeType,
    Schema,
    from_html,
    from_json,
    from_markdown,
    to_html,
    to_json,
    to_markdown,
    to_text,
)
from collab.content.editors.blocknote.blocks import block_text
from collab.content.editors.blocknote.trees import blocks_in
from collab.exceptions import InvalidContent

from .samples import block, p, raw_doc


def styled(text: str, **styles: Any) -> dict[str, Any]:
    """Return a text of a block."""
    return {"type": "text", "text": text, "styles": styles}


def item(kind: str, content: Any = None, *children: Any, **props: Any) -> dict[str, Any]:
    """Return a block."""
    made: dict[str, Any] = {"type": kind}
    for key, value in (("content", content), ("children", list(children)), ("props", props)):
        if value:
            made[key] = value
    return made


def link(href: str, *content: Any) -> dict[str, Any]:
    """Return a link in a block."""
    return {"type": "link", "href": href, "content": list(content)}


def doc_of(*blocks: Any, schema: Schema = BLOCKNOTE) -> Doc[Any]:
    """Return a document of blocks."""
    doc: Doc[Any] = Doc()
    from_json(doc, None, list(blocks), schema)
    return doc


def kinds(doc: Doc[Any]) -> list[str]:
    """Return the types of the blocks at the top."""
    return [each["type"] for each in to_json(doc, schema=BLOCKNOTE)]


@pytest.mark.parametrize(
    ("made", "html", "markdown", "text"),
    [
        (
            item(
                "heading",
                [styled("a", bold=True, textColor="red")],
                level=2,
                textAlignment="center",
            ),
            '<h2 style="text-align: center;"><strong><span style="color: red;">a</span>'
            "</strong></h2>",
            "## **a**\n",
            "a",
        ),
        (
            item("paragraph", "a\nb", item("paragraph", "c"), backgroundColor="yellow"),
            '<p data-background-color="yellow">a<br>b</p><p>c</p>',
            "a\\\nb\n\nc\n",
            "a\nb\n\nc",
        ),
        (
            item(
                "paragraph", [{"type": "link", "href": "/x", "content": [styled("l", italic=True)]}]
            ),
            '<p><a href="/x" target="_blank" rel="noopener noreferrer nofollow"><em>l</em></a></p>',
            "[*l*](/x)\n",
            "l",
        ),
        (
            item("bulletListItem", "a", item("numberedListItem", "b", start=3)),
            '<ul><li><p>a</p><ol start="3"><li><p>b</p></li></ol></li></ul>',
            "- a\n\n  3. b\n",
            "- a\n  3. b",
        ),
        (
            item("toggleListItem", "a", item("paragraph", "b")),
            '<ul><li><details open=""><summary><p>a</p></summary><p>b</p></details></li></ul>',
            "- a\n\n  b\n",
            "- a\n  b",
        ),
        (item("quote", "a\nb"), "<blockquote><p>a<br>b</p></blockquote>", "> a\\\n> b\n", "a\nb"),
        (
            item("codeBlock", "a\nb", language="python"),
            '<pre><code class="language-python">a\nb</code></pre>',
            "```python\na\nb\n```\n",
            "a\nb",
        ),
        (item("divider"), "<hr>", "---\n", ""),
        (
            item("image", url="/a.png", name="A", caption="c < d", previewWidth=200),
            '<figure><img src="/a.png" alt="A" width="200">'
            "<figcaption>c &lt; d</figcaption></figure>",
            "![A](/a.png)\n",
            "A",
        ),
        (item("image", url="javascript:x"), '<img src="">', "", ""),
        (
            item("video", url="/a.mp4", name="v", showPreview=False),
            '<video src="/a.mp4" controls="" data-name="v"></video>',
            "[v](/a.mp4)\n",
            "v",
        ),
        (
            item("audio", url="/a.mp3", caption="c"),
            '<figure><audio src="/a.mp3" controls=""></audio><figcaption>c</figcaption></figure>',
            "[/a.mp3](/a.mp3)\n",
            "c",
        ),
        (
            item("file", url="/a.pdf", name="f"),
            '<a href="/a.pdf" data-name="f">f</a>',
            "[f](/a.pdf)\n",
            "f",
        ),
        (item("file", url="data:x"), '<a href=""></a>', "data:x\n", ""),
    ],
)
def test_a_block_looks_as_it_should_and_comes_back(
    made: dict[str, Any], html: str, markdown: str, text: str
) -> None:
    doc = doc_of(made)
    assert to_html(doc, schema=BLOCKNOTE) == html
    assert to_markdown(doc, schema=BLOCKNOTE) == markdown
    assert to_text(doc, schema=BLOCKNOTE) == text
    value = to_json(doc, schema=BLOCKNOTE)
    again: Doc[Any] = Doc()
    from_json(again, None, value, BLOCKNOTE)
    assert to_json(again, schema=BLOCKNOTE) == value


def test_checked_items_are_tasks() -> None:
    doc = doc_of(item("checkListItem", "a", checked=True), item("checkListItem", "b"))
    assert to_markdown(doc, schema=BLOCKNOTE) == "- [x] a\n- [ ] b\n"


TABLE = {
    "type": "table",
    "content": {
        "type": "tableContent",
        "headerRows": 1,
        "columnWidths": [100, None],
        "rows": [
            {"cells": ["a", [styled("b", bold=True)]]},
            {
                "cells": [
                    "c",
                    {
                        "type": "tableCell",
                        "content": "d\ne",
                        "props": {"textAlignment": "right", "backgroundColor": "red"},
                    },
                ]
            },
            {"cells": [{"type": "tableCell", "content": "f", "props": {"colspan": 2}}]},
        ],
    },
}


def test_tables_have_headers_widths_and_spans() -> None:
    doc = doc_of(TABLE)
    content = to_json(doc, schema=BLOCKNOTE)[0]["content"]
    assert content["headerRows"] == 1 and "headerCols" not in content
    assert content["columnWidths"] == [100, None]
    assert content["rows"][1]["cells"][1]["props"]["textAlignment"] == "right"
    assert content["rows"][2]["cells"][0]["props"]["colspan"] == 2
    assert to_markdown(doc, schema=BLOCKNOTE) == (
        "| a | **b** |\n| --- | --- |\n| c | d<br>e |\n| f |  |\n"
    )
    html = to_html(doc, schema=BLOCKNOTE)
    assert 'colwidth="100"' in html and 'style="text-align: right;"' in html
    again: Doc[Any] = Doc()
    from_html(again, None, html, BLOCKNOTE)
    found = to_json(again, schema=BLOCKNOTE)[0]["content"]
    assert found["headerRows"] == 1
    assert found["columnWidths"] == [100, None]
    assert found["rows"][1]["cells"][1]["content"] == [styled("d\ne")]


def test_headers_can_be_columns() -> None:
    rows = [{"cells": ["a", "b"]}, {"cells": ["c", "d"]}]
    content = {"type": "tableContent", "headerCols": 1, "rows": rows}
    doc = doc_of({"type": "table", "content": content})
    assert to_json(doc, schema=BLOCKNOTE)[0]["content"]["headerCols"] == 1
    again: Doc[Any] = Doc()
    from_html(again, None, to_html(doc, schema=BLOCKNOTE), BLOCKNOTE)
    assert to_json(again, schema=BLOCKNOTE)[0]["content"]["headerCols"] == 1


def test_tables_of_other_editors_become_those_of_blocknote() -> None:
    doc: Doc[Any] = Doc()
    from_html(
        doc,
        None,
        "<table><tr><td>a<ul><li>b</li></ul></td></tr><tr><td><hr></td></tr></table>",
        BLOCKNOTE,
    )
    rows = to_json(doc, schema=BLOCKNOTE)[0]["content"]["rows"]
    assert [row["cells"][0]["content"] for row in rows] == [[styled("a\nb")], [styled(" ")]]


def test_single_headers_survive_an_edit_elsewhere() -> None:
    cells = [block(name, block("tableParagraph", "x")) for name in ("tableHeader", "tableCell")]
    doc = raw_doc(
        block(
            "blockGroup",
            block(
                "blockContainer",
                block("table", block("tableRow", *cells), block("tableRow", *reversed(cells))),
                id="t",
            ),
            block("blockContainer", p("y"), id="p"),
        ),
        field="document-store",
    )
    before = to_json(doc, "document-store")["content"][0]["content"][0]
    value = to_json(doc, schema=BLOCKNOTE)
    value[1]["content"][0]["text"] = "z"
    from_json(doc, None, value, BLOCKNOTE)
    assert to_json(doc, "document-store")["content"][0]["content"][0] == before
    assert to_text(doc, schema=BLOCKNOTE).endswith("z")


def test_new_blocks_get_ids_and_old_ones_keep_theirs() -> None:
    doc = doc_of(item("paragraph", "a"), item("paragraph", "b"))
    first, second = (each["id"] for each in to_json(doc, schema=BLOCKNOTE))
    assert first and second and first != second
    from_markdown(doc, None, "new\n\na, changed\n\nb", BLOCKNOTE)
    ids = [each["id"] for each in to_json(doc, schema=BLOCKNOTE)]
    assert ids[1:] == [first, second]
    assert len(set(ids)) == 3


def test_blocks_without_ids_are_changed_where_they_are() -> None:
    doc = doc_of(item("paragraph", "one two"), item("paragraph", "three four"))
    before = to_json(doc, schema=BLOCKNOTE)
    blocks = [item("paragraph", "one 2"), item("paragraph", "three 4")]
    from_json(doc, None, blocks, BLOCKNOTE)
    after = to_json(doc, schema=BLOCKNOTE)
    assert [each["id"] for each in after] == [each["id"] for each in before]
    assert to_text(doc, schema=BLOCKNOTE) == "one 2\n\nthree 4"


def test_colors_and_nesting_survive_an_edit_in_markdown() -> None:
    doc = doc_of(
        item("paragraph", [styled("a", textColor="red"), styled(" b")], item("paragraph", "below")),
        item("heading", "c", level=1, isToggleable=True),
    )
    markdown = to_markdown(doc, schema=BLOCKNOTE)
    from_markdown(doc, None, markdown.replace("b", "B", 1).replace("# c", "# C"), BLOCKNOTE)
    first, second = to_json(doc, schema=BLOCKNOTE)
    assert first["content"] == [styled("a", textColor="red"), styled(" B")]
    assert first["children"][0]["content"] == [styled("below")]
    assert second["props"]["isToggleable"] is True


def test_html_that_blocknote_cannot_express_is_reported() -> None:
    doc: Doc[Any] = Doc()
    report = from_html(
        doc,
        None,
        "<p>a<sub>1</sub><mark>b</mark></p><blockquote><p>q</p><p>r</p><ul><li>s</li></ul></blockquote>"
        "<figure><img src='/a.png' alt='A'><figcaption>c</figcaption></figure><figure>x</figure>"
        "<figure><img></figure><video src='/v.mp4'></video>"
        "<ul><li><details open><summary>t</summary><p>u</p></details></li><li>v</li></ul>",
        BLOCKNOTE,
    )
    assert report.dropped == {"<sub>": 1, "<mark>": 1}
    assert kinds(doc) == [
        *("paragraph", "quote", "image", "paragraph", "video"),
        *("toggleListItem", "bulletListItem"),
    ]
    blocks = to_json(doc, schema=BLOCKNOTE)
    assert blocks[1]["content"] == [styled("q\nr")]
    assert blocks[1]["children"][0]["type"] == "bulletListItem"
    assert blocks[2]["props"]["caption"] == "c"
    assert blocks[5]["children"][0]["content"] == [styled("u")]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("x", "must be a list of objects"),
        (["x"], "must be a list of objects"),
        ([{"type": 5}], "has a type that is not a string"),
        ([item("paragraph", [5])], "content must be a list of objects"),
        ([item("paragraph", [{"text": "x"}])], "has a part without a type"),
        ([item("paragraph", [{"type": "text", "text": 5}])], "must have a string and an object"),
        ([{"type": "paragraph", "children": "x"}], "children must be a list"),
        ([{"type": "table", "content": {"rows": 5}}], "rows of a table must be a list"),
        ([item("paragraph", [styled("x", blink=True)])], "has the mark 'blink'"),
        ([item("alert", "x")], "has the type 'alert'"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(value: Any, reason: str) -> None:
    with pytest.raises(InvalidContent, match=reason):
        from_json(Doc(), None, value, BLOCKNOTE)


def test_a_projects_own_blocks_and_inline_content_are_kept() -> None:
    alert = NodeType(name="alert", content="inline*", group="blockContent", html="aside")
    mention = NodeType(name="mention", group="inline", is_inline=True)
    tag = NodeType(name="tag", content="text*", group="inline", is_inline=True)
    schema = BLOCKNOTE.extend(nodes=[alert, mention, tag])
    content = [
        styled("x "),
        {"type": "mention", "props": {"user": "ann"}},
        {"type": "tag", "props": {}, "content": [styled("in")]},
    ]
    doc = doc_of(item("alert", content, tone="note"), schema=schema)
    found = to_json(doc, schema=schema)[0]
    assert found["props"] == {"tone": "note"}
    assert [part["type"] for part in found["content"]] == ["text", "mention", "tag"]
    assert to_html(doc, schema=schema).startswith("<aside>x <span")
    from_markdown(doc, None, to_markdown(doc, schema=schema).replace("x", "y"), schema)
    assert to_json(doc, schema=schema)[0]["type"] in ("alert", "paragraph")


def test_markdown_becomes_blocks_of_every_kind() -> None:
    doc: Doc[Any] = Doc()
    from_markdown(
        doc,
        None,
        "3. a\n4. b\n\n- [x] c\n- [ ] d\n\n```py\ne\n```\n\n```\n```\n\n---\n\n[f **g**](/x)\n",
        BLOCKNOTE,
    )
    blocks = to_json(doc, schema=BLOCKNOTE)
    assert [each["type"] for each in blocks] == [
        *("numberedListItem", "numberedListItem", "checkListItem", "checkListItem"),
        *("codeBlock", "codeBlock", "divider", "paragraph"),
    ]
    assert (blocks[0]["props"]["start"], "start" in blocks[1]["props"]) == (3, False)
    assert [blocks[2]["props"]["checked"], blocks[3]["props"]["checked"]] == [True, False]
    assert blocks[4]["props"]["language"] == "py"
    assert blocks[7]["content"] == [link("/x", styled("f "), styled("g", bold=True))]


def test_media_survive_an_edit_beside_them() -> None:
    doc = doc_of(item("video", url="/v", showPreview=False), item("paragraph", "a"))
    from_markdown(doc, None, to_markdown(doc, schema=BLOCKNOTE).replace("a", "b"), BLOCKNOTE)
    assert to_json(doc, schema=BLOCKNOTE)[0]["props"]["showPreview"] is False


def test_blocks_below_nothing_come_to_the_top() -> None:
    assert [each["type"] for each in blocks_in([block("nested", p("a"))])] == ["paragraph"]


def test_cells_with_several_paragraphs_have_lines() -> None:
    paragraphs = [
        block("tableParagraph", "a"),
        block("tableParagraph", "b"),
        block("tableParagraph"),
    ]
    table = block("table", block("tableRow", block("tableCell", *paragraphs)))
    doc = raw_doc(block("blockGroup", block("blockContainer", table)), field="document-store")
    cell = to_json(doc, schema=BLOCKNOTE)[0]["content"]["rows"][0]["cells"][0]
    assert cell["content"] == [styled("a\nb")]


def test_the_text_of_a_block_that_is_not_written_yet() -> None:
    assert block_text({"type": "paragraph", "content": "a"}) == "a"


def test_content_is_read_however_it_was_left() -> None:
    doc: Doc[Any] = Doc()
    assert to_json(doc, schema=BLOCKNOTE) == []
    root = doc.get("document-store", type=XmlFragment)
    assert len(root.children) == 0
    lonely = raw_doc(block("blockGroup", block("blockContainer")), field="document-store")
    assert to_json(lonely, schema=BLOCKNOTE) == [
        {"id": None, "type": "paragraph", "props": {}, "children": []}
    ]


def test_line_ends_look_as_what_is_before_them() -> None:
    parts = [styled("\n"), link("/x", styled("a")), styled("\nb", bold=True), "c"]
    doc = doc_of(item("paragraph", parts))
    assert to_json(doc, schema=BLOCKNOTE)[0]["content"] == [
        styled("\n"),
        {"type": "link", "href": "/x", "content": [styled("a\n")]},
        styled("b", bold=True),
        styled("c"),
    ]


def test_code_with_links_keeps_its_letters() -> None:
    # Editors do not offer links in code, but accept them.
    code = [link("/x", styled("a\n")), styled("b"), link("/y", styled("c"))]
    doc = doc_of(item("codeBlock", code))
    assert to_text(doc, schema=BLOCKNOTE) == "a\nbc"
    assert "a\nbc</code>" in to_html(doc, schema=BLOCKNOTE)
    assert to_markdown(doc, schema=BLOCKNOTE) == "```text\na\nbc\n```\n"


@pytest.mark.parametrize("html", ["<table></table>", "<table><tr></tr><tr><td>a</td></tr></table>"])
def test_a_row_without_cells_gets_an_empty_one(html: str) -> None:
    doc = Doc[Any]()
    from_html(doc, None, html, schema=BLOCKNOTE)
    [table] = to_json(doc, None, schema=BLOCKNOTE)
    cells = [row["cells"] for row in table["content"]["rows"]]
    assert [len(row) for row in cells] == [1] * len(cells)
