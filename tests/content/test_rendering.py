"""Content of documents as HTML, Markdown, text and JSON."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from collab.content import TIPTAP, NodeType, from_markdown, to_html, to_json, to_markdown, to_text
from collab.exceptions import ContentError

from .samples import block, li, mark, p, raw_doc, text


def test_text_that_looks_like_a_tag_is_whole() -> None:
    doc = raw_doc(p("if a <b and c> d"), p("stop"))
    assert to_text(doc) == "if a <b and c> d\n\nstop"
    assert to_html(doc) == "<p>if a &lt;b and c&gt; d</p><p>stop</p>"
    assert to_markdown(doc) == "if a \\<b and c> d\n\nstop\n"


def test_a_field_of_another_name_is_read() -> None:
    assert to_text(raw_doc(p("x"), field="prosemirror"), "prosemirror") == "x"
    assert to_text(raw_doc(p("x"), field="prosemirror")) == ""


@pytest.mark.parametrize(
    ("nodes", "html", "markdown", "plain"),
    [
        (
            [block("heading", "A ", text("b", "bold"), level=2)],
            "<h2>A <strong>b</strong></h2>",
            "## A **b**\n",
            "A b",
        ),
        (
            [block("bulletList", li("one", block("bulletList", li("in"))), li("two"))],
            "<ul><li><p>one</p><ul><li><p>in</p></li></ul></li><li><p>two</p></li></ul>",
            "- one\n  - in\n- two\n",
            "- one\n  - in\n- two",
        ),
        (
            [block("orderedList", li("a", "b"), li("c"), start=9)],
            '<ol start="9"><li><p>a</p><p>b</p></li><li><p>c</p></li></ol>',
            "9. a\n\n   b\n\n10. c\n",
            "9. a\n   b\n10. c",
        ),
        (
            [block("blockquote", p("q"), p("r"))],
            "<blockquote><p>q</p><p>r</p></blockquote>",
            "> q\n>\n> r\n",
            "q\n\nr",
        ),
        (
            [block("codeBlock", "a ``` <b>\n*c*", language="py")],
            '<pre><code class="language-py">a ``` &lt;b&gt;\n*c*</code></pre>',
            "````py\na ``` <b>\n*c*\n````\n",
            "a ``` <b>\n*c*",
        ),
        ([block("codeBlock")], "<pre><code></code></pre>", "```\n```\n", ""),
        ([p("a"), block("horizontalRule")], "<p>a</p><hr>", "a\n\n---\n", "a"),
        (
            [block("image", src="/a (1).png", alt="A", title='"t"')],
            '<img src="/a (1).png" alt="A" title="&quot;t&quot;">',
            '![A](</a (1).png> "\\"t\\"")\n',
            "A",
        ),
        (
            [p("a", block("hardBreak"), "b", block("hardBreak"))],
            "<p>a<br>b<br></p>",
            "a\\\nb<br>\n",
            "a\nb\n",
        ),
        (
            [p(block("mention", id="7", label="Ann", mentionSuggestionChar="@"), "!")],
            '<p><span data-type="mention" data-id="7" data-label="Ann"'
            ' data-mention-suggestion-char="@">@Ann</span>!</p>',
            "@Ann!\n",
            "@Ann!",
        ),
    ],
)
def test_a_node_looks_as_it_should(
    nodes: list[dict[str, object]], html: str, markdown: str, plain: str
) -> None:
    doc = raw_doc(*nodes)
    assert (to_html(doc), to_markdown(doc), to_text(doc)) == (html, markdown, plain)


def test_tasks_have_boxes() -> None:
    doc = raw_doc(
        block("taskList", block("taskItem", p("x"), checked=True), block("taskItem", p("y")))
    )
    assert to_markdown(doc) == "- [x] x\n- [ ] y\n"
    assert to_text(doc) == "- [x] x\n- [ ] y"
    assert 'data-checked="true"' in to_html(doc)


def test_tables_are_of_githubs_flavour() -> None:
    table = block(
        "table",
        block(
            "tableRow", block("tableHeader", p("a"), align="right"), block("tableHeader", p("b"))
        ),
        block("tableRow", block("tableCell", p("x|y"), p("z"), colspan=2)),
    )
    assert to_markdown(raw_doc(table)) == "| a | b |\n| --: | --- |\n| x\\|y<br>z |  |\n"
    assert to_text(raw_doc(table)) == "a\tb\nx|y z"
    headless = block("table", block("tableRow", block("tableCell", p("a"))))
    assert to_markdown(raw_doc(headless)) == "|  |\n| --- |\n| a |\n"
    assert to_markdown(raw_doc(block("table"))) == ""


def test_widths_of_columns_are_in_the_html_of_a_table() -> None:
    def cell(**attributes: object) -> dict[str, object]:
        return block("tableCell", p("x"), **attributes)

    wide = to_html(
        raw_doc(block("table", block("tableRow", cell(colwidth=[100]), cell(colwidth=[9]))))
    )
    assert '<table style="width: 109px;">' in wide
    assert '<col style="width: 100px;"><col style="width: 25px;">' in wide
    open_ended = to_html(raw_doc(block("table", block("tableRow", cell(colspan=2, colwidth=[80])))))
    assert '<table style="min-width: 105px;">' in open_ended
    assert to_html(raw_doc(block("table"))).startswith("<table><colgroup></colgroup>")


def test_lists_of_one_kind_after_each_other_stay_two() -> None:
    doc = raw_doc(
        block("bulletList", li("a")),
        block("bulletList", li("b")),
        block("orderedList", li("c")),
        block("orderedList", li("d")),
    )
    assert to_markdown(doc) == "- a\n\n* b\n\n1. c\n\n1) d\n"


def test_a_rule_at_the_beginning_of_an_item_is_not_one_with_its_sign() -> None:
    item = block("listItem", p(), block("horizontalRule"), p("a"))
    doc = raw_doc(block("bulletList", block("listItem", p(), block("bulletList", item))))
    assert to_markdown(doc) == "- - ___\n\n    a\n"
    again: Doc[Any] = Doc()
    from_markdown(again, None, to_markdown(doc))
    assert to_html(again) == to_html(doc)


def test_an_item_that_is_a_line_break_is_apart_from_the_list_in_it() -> None:
    inner = block("bulletList", li("a"))
    doc = raw_doc(block("bulletList", block("listItem", p(block("hardBreak")), inner)))
    assert to_markdown(doc) == "- <br>\n\n  - a\n"


def test_marks_go_on_over_their_neighbours() -> None:
    doc = raw_doc(p(text("a ", "bold"), text("b", "bold", "italic"), text(" c", "italic"), " d"))
    assert to_html(doc) == "<p><strong>a <em>b</em></strong><em> c</em> d</p>"


@pytest.mark.parametrize(
    ("content", "markdown"),
    [
        ([text("a ", "bold"), "b"], "**a** b"),
        (["a", text("b", "bold"), "c"], "a**b**c"),
        (["a", text('"b"', "bold"), "c"], 'a<strong>"b"</strong>c'),
        ([text("a", "italic"), text("b", "bold")], "*a*<strong>b</strong>"),
        ([text("a", "bold", "italic"), text("b", "bold")], "***a*b**"),
        ([text("a", "strike"), text("b", "underline")], "~~a~~<u>b</u>"),
        ([text("a`b", "code")], "``a`b``"),
        ([text("`", "code")], "`` ` ``"),
        ([text(" ", "bold")], ""),
        ([text("a", mark("link", href="/x"), "bold")], "[**a**](/x)"),
        ([text("a", mark("link", href="javascript:alert(1)"))], "a"),
        (["* _ ` [ ] < ~ \\ & &amp; !["], "\\* \\_ \\` \\[ \\] \\< \\~ \\\\ & \\&amp; \\!\\["),
        (["1. x"], "1\\. x"),
        (["# x"], "\\# x"),
        (["- x"], "\\- x"),
        (["-x 1.x #x"], "-x 1.x #x"),
        (["---"], "\\---"),
        (["> x"], "\\> x"),
        (["a\nb"], "a\\\nb"),
        (["   x"], "x"),
    ],
)
def test_inline_markdown_is_read_as_it_is_meant(content: list[object], markdown: str) -> None:
    doc = raw_doc(p(*content))  # type: ignore[arg-type]
    assert to_markdown(doc).rstrip("\n") == markdown


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "JaVaScript:alert(1)",
        "\x01java\nscript:alert(1)",
        "data:text/html,x",
        "x y:z",
    ],
)
def test_links_that_run_code_are_not_written(href: str) -> None:
    doc = raw_doc(p(text("x", mark("link", href=href))), block("image", src=href))
    assert 'href=""' in to_html(doc)
    assert '<img src="">' in to_html(doc)


@pytest.mark.parametrize(
    "href", ["https://x.org/?a=b:c", "/a:b", "#a:b", "mailto:a@b.c", "?q=1:2", ""]
)
def test_other_links_are_written(href: str) -> None:
    assert f'href="{href}"' in to_html(raw_doc(p(text("x", mark("link", href=href)))))


def test_attributes_cannot_break_out_of_their_place() -> None:
    hostile = '"><script>'
    doc = raw_doc(
        block("heading", "x", level=hostile, textAlign=hostile),
        block("heading", "y", level=3, textAlign="url(//x.org)"),
        block("codeBlock", "z", language=hostile),
        p(text("l", mark("link", href="/", title=hostile))),
    )
    assert to_html(doc) == (
        "<h1>x</h1><h3>y</h3>"
        '<pre><code class="language-&quot;&gt;&lt;script&gt;">z</code></pre>'
        '<p><a href="/" target="_blank" rel="noopener noreferrer nofollow"'
        ' title="&quot;&gt;&lt;script&gt;">l</a></p>'
    )


def test_unknown_nodes_and_marks_are_shown_as_what_is_in_them() -> None:
    doc = raw_doc(
        block("callout", p("in"), kind="note"), p(text("x", mark("comment", id=1)), block("emoji"))
    )
    assert to_html(doc) == (
        '<div data-node="callout" data-attrs="{&quot;kind&quot;: &quot;note&quot;}"><p>in</p></div>'
        '<p><span data-mark="comment" data-attrs="{&quot;id&quot;: 1}">x</span>'
        '<div data-node="emoji"></div></p>'
    )
    assert to_markdown(doc) == "in\n\nx\n"
    assert to_text(doc) == "in\n\nx"


def test_a_projects_own_nodes_look_as_it_says() -> None:
    callout = NodeType(
        name="callout",
        content="block+",
        group="block",
        html="aside",
        markdown=lambda attributes, inner: f"> [!{attributes.get('kind')}]\n> {inner}",
        text=lambda attributes, inner: f"({inner})",
    )
    emoji = NodeType(
        name="emoji",
        group="inline",
        is_inline=True,
        markdown=lambda attributes, inner: ":-)",
        text=lambda attributes, inner: "☺",
    )
    schema = TIPTAP.extend(nodes=[callout, emoji], name="ours", field="body")
    doc = raw_doc(block("callout", p("in ", block("emoji")), kind="note"), field="body")
    assert to_html(doc, schema=schema) == (
        '<aside><p>in <span data-node="emoji"></span></p></aside>'
    )
    assert to_markdown(doc, schema=schema) == "> [!note]\n> in :-)\n"
    assert to_text(doc, schema=schema) == "(in ☺)"


def test_json_has_the_attributes_that_the_editor_has() -> None:
    doc = raw_doc(block("heading", text("x", "italic", "bold")))
    assert to_json(doc, schema=TIPTAP)["content"] == [
        {
            "type": "heading",
            "attrs": {"textAlign": None, "level": 1},
            "content": [
                {"type": "text", "text": "x", "marks": [{"type": "bold"}, {"type": "italic"}]}
            ],
        }
    ]
    assert to_json(doc, "default")["content"] == [
        {
            "type": "heading",
            "content": [
                {
                    "type": "text",
                    "text": "x",
                    "marks": [{"type": "bold", "attrs": {}}, {"type": "italic", "attrs": {}}],
                }
            ],
        }
    ]


def test_values_come_as_javascript_has_them() -> None:
    doc = raw_doc(block("x", a=1, b=1.5, c=True, d=[1, {"e": 2}], f=2.0**60, g=b"\x00"))
    assert to_json(doc, "default")["content"][0]["attrs"] == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": [1, {"e": 2}],
        "f": 2.0**60,
        "g": "AA==",
    }


def test_content_that_old_editors_stored_is_read() -> None:
    doc: Doc = Doc()  # type: ignore[type-arg]
    root = doc.get("default", type=XmlFragment)
    paragraph = root.children.append(XmlElement("paragraph"))
    content = paragraph.children.append(XmlText())
    content.insert(0, "ab", {"bold": True, "ychange": {"x": 1}})
    content.insert_embed(2, {"image": "/x"})
    root.children.append(XmlText("loose"))
    assert to_json(doc, schema=TIPTAP)["content"] == [
        p(text("ab", "bold"), block("embed", value={"image": "/x"}))
        | {"attrs": {"textAlign": None}},
        text("loose"),
    ]
    assert to_json(doc, "default")["content"][1] == [text("loose")]


def test_content_that_nests_too_deeply_is_refused() -> None:
    node = p("x")
    for _ in range(200):
        node = block("blockquote", node)
    with pytest.raises(ContentError, match="200 nodes inside each other"):
        to_json(raw_doc(node), "default")
