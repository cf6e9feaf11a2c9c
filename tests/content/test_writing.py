"""Content into documents: what is written, what is refused, and how little is changed."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from collab.content import (
    REQUIRED,
    TIPTAP,
    Attribute,
    MarkType,
    NodeType,
    from_html,
    from_json,
    from_markdown,
    from_text,
    replace,
    to_html,
    to_json,
    to_markdown,
    to_text,
)
from collab.exceptions import ContentError, InvalidContent

from .samples import block, doc_of, li, mark, p, raw_doc, text

COMMENT = MarkType(
    name="comment", attributes={"id": Attribute(), "done": Attribute(default=False)}, overlaps=True
)


def html_of(markdown: str) -> str:
    """Return the HTML of a new document of that Markdown."""
    doc: Doc[Any] = Doc()
    from_markdown(doc, None, markdown)
    return to_html(doc)


def first_paragraph(doc: Doc[Any], index: int = 0) -> XmlElement:
    """Return a block of the document itself."""
    child = doc.get("default", type=XmlFragment).children[index]
    assert isinstance(child, XmlElement)
    return child


def size_of_change(doc: Doc[Any], change: Any) -> int:
    """Return how many bytes of update a change makes."""
    made: list[int] = []
    subscription = doc.observe(lambda event: made.append(len(event.update)))
    change()
    doc.unobserve(subscription)
    return sum(made)


# The smallest edit.


def test_a_changed_paragraph_is_changed_by_letters() -> None:
    doc = raw_doc(p("The quick brown fox"), p("jumps"))
    other: Doc[Any] = Doc()
    other.apply_update(doc.get_update())
    paragraph = first_paragraph(other)
    letters = paragraph.children[0]
    assert isinstance(letters, XmlText)
    letters.insert(len("The quick brown fox"), " typed meanwhile")
    from_json(doc, None, doc_of(p("The slow brown fox"), p("jumps")))
    doc.apply_update(other.get_update())
    assert to_text(doc) == "The slow brown fox typed meanwhile\n\njumps"


def test_blocks_that_stay_are_not_touched() -> None:
    blocks = [p(f"paragraph {number}") for number in range(200)]
    doc = raw_doc(*blocks)
    changed = [*blocks[:50], p("new"), *blocks[51:120], *blocks[121:]]
    assert size_of_change(doc, lambda: from_json(doc, None, doc_of(*changed))) < 250
    assert to_json(doc, "default")["content"] == changed


def test_a_moved_block_costs_no_more_than_itself() -> None:
    blocks = [p(f"paragraph {number}") for number in range(100)]
    doc = raw_doc(*blocks)
    moved = [*blocks[1:60], blocks[0], *blocks[60:]]
    assert size_of_change(doc, lambda: from_json(doc, None, doc_of(*moved))) < 150
    assert to_json(doc, "default")["content"] == moved


def test_only_attributes_that_differ_are_set() -> None:
    doc = raw_doc(block("heading", "x", level=1, textAlign="left"))
    from_json(doc, None, doc_of(block("heading", "x", level=2)))
    assert to_json(doc, "default")["content"] == [block("heading", "x", level=2)]


def test_two_texts_beside_each_other_are_changed_where_they_are() -> None:
    doc = raw_doc()
    paragraph = doc.get("default", type=XmlFragment).children.append(XmlElement("paragraph"))
    paragraph.children.append(XmlText("one "))
    paragraph.children.append(XmlText("two"))
    from_json(doc, None, doc_of(p("one! two!")))
    assert [len(child) for child in paragraph.children] == [5, 4]
    assert to_text(doc) == "one! two!"


def test_an_emptied_paragraph_keeps_its_text_for_those_who_type_in_it() -> None:
    doc = raw_doc(p("x"))
    from_json(doc, None, doc_of(p()))
    assert len(first_paragraph(doc).children) == 1
    assert size_of_change(doc, lambda: from_json(doc, None, doc_of(p()))) == 0
    from_json(doc, None, doc_of(p("y")))
    assert to_json(doc, "default")["content"] == [p("y")]


def test_marks_are_formatted_without_new_letters() -> None:
    doc = raw_doc(p("one two three"))
    wanted = doc_of(p("one ", text("two", "bold"), " three"))
    assert size_of_change(doc, lambda: from_json(doc, None, wanted)) < 80
    from_json(doc, None, doc_of(p("one two three")))
    assert to_html(doc) == "<p>one two three</p>"


def test_very_many_changed_blocks_are_paired_in_order() -> None:
    doc = raw_doc(*[p(f"{number} a b") for number in range(300)])
    wanted = [p(f"{number} a c") for number in range(300)] + [block("horizontalRule")]
    from_json(doc, None, doc_of(*wanted))
    assert to_json(doc, "default")["content"] == wanted
    from_json(doc, None, doc_of(*[block("heading", str(number), level=1) for number in range(300)]))
    assert to_text(doc).count("\n\n") == 299


def test_very_long_texts_are_changed_by_words_that_are_there_once() -> None:
    before = " ".join(f"w{number}" for number in range(3000))
    doc = raw_doc(p(before))
    after = f"x {before.replace('w1500', 'new')} y"
    assert size_of_change(doc, lambda: from_json(doc, None, doc_of(p(after)))) < 150
    assert to_text(doc) == after


def test_a_letter_that_looks_like_a_stand_in_stays_a_letter() -> None:
    strange = "\U000f0000a\U000f0001"
    doc = raw_doc(p(strange, block("mention", id="1", label="x")))
    from_html(doc, None, to_html(doc).replace("a", "ab"))
    assert to_text(doc) == f"{strange[0]}ab{strange[2]}@x"


# What is refused.


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "must be a node of the type 'doc'"),
        ({"type": "paragraph"}, "must be a node of the type 'doc'"),
        (doc_of(block("blockquote")), "a blockquote must have block\\+"),
        (doc_of(p(), "x"), "content\\[1\\] is not a node"),  # type: ignore[arg-type]
        (doc_of({"type": 5}), "is not a node"),
        (doc_of(block("callout")), "has the type 'callout', which 'tiptap' does not have"),
        (doc_of(p(text("x", "comment"))), "has the mark 'comment', which"),
        (doc_of(li("x")), "has listItem, but a doc must have block\\+"),
        (doc_of({"type": "paragraph", "content": "x"}), "has a content that is not a list"),
        (doc_of({"type": "paragraph", "attrs": "x"}), "has attributes that are not an object"),
        (doc_of(p({"type": "text", "text": ""})), "is a text without letters"),
        (doc_of(p(text("\ud83d"))), "has half of a surrogate pair"),
        (doc_of(p({"type": "text", "text": "x", "marks": {}})), "has marks that are not a list"),
        (doc_of(p(text("x", "bold", "bold"))), "has the mark 'bold' twice"),
        (doc_of(p(text("x", "bold", "code"))), "has the marks 'code' and 'bold' together"),
        (
            doc_of(block("codeBlock", text("x", "bold"))),
            "has the mark 'bold', which is not allowed",
        ),
        (doc_of(block("heading", level="1")), "attrs.level cannot be '1'"),
        (doc_of(block("heading", level=True)), "attrs.level cannot be True"),
        (doc_of(block("x" * 3)), "xxx"),
        (doc_of(block("image", width=2**60)), "is larger than integers are in JavaScript"),
        (doc_of(block("image", width=float("nan"))), "is not a finite number"),
        (doc_of(block("image", width=[{1: 2}])), "has a key that is not a string"),
        (doc_of(block("image", width={"a": b"x"})), "is a bytes, not a JSON value"),
    ],
)
def test_content_that_an_editor_would_delete_is_refused(value: Any, reason: str) -> None:
    doc = raw_doc(p("before"))
    with pytest.raises(InvalidContent, match=reason):
        from_json(doc, None, value)
    assert to_text(doc) == "before"


def test_content_that_is_nested_too_deeply_is_refused() -> None:
    node = p("x")
    for _ in range(201):
        node = block("blockquote", node)
    with pytest.raises(InvalidContent, match="more than 200 nodes deep"):
        from_json(Doc(), None, doc_of(node))
    with pytest.raises(ContentError, match="more than 200 nodes inside each other"):
        from_json(raw_doc(node), None, doc_of(p()))


def test_required_attributes_are_required() -> None:
    widget = NodeType(name="widget", group="block", attributes={"ref": Attribute(default=REQUIRED)})
    schema = TIPTAP.extend(nodes=[widget])
    for node in (block("widget"), block("widget", ref=None)):
        with pytest.raises(InvalidContent, match="lacks the attribute 'ref'"):
            from_json(Doc(), None, doc_of(node), schema)
    with pytest.raises(InvalidContent, match="cannot be '<required>'"):
        from_json(Doc(), None, doc_of(block("widget", ref=REQUIRED)), schema)
    from_json(Doc(), None, doc_of(block("widget", ref=5)), schema)


def test_marks_that_exclude_some_others_are_refused_with_these() -> None:
    sub = MarkType(name="sub", excludes=("sup",))
    schema = TIPTAP.extend(marks=[sub, MarkType(name="sup")])
    with pytest.raises(InvalidContent, match="has the marks 'sub' and 'sup' together"):
        from_json(Doc(), None, doc_of(p(text("x", "sub", "sup"))), schema)
    from_json(Doc(), None, doc_of(p(text("x", "sub", "bold"))), schema)


@pytest.mark.parametrize(
    ("content", "reason"), [("block+ %", "syntax error"), ("nothing+", "is named 'nothing'")]
)
def test_content_expressions_are_checked(content: str, reason: str) -> None:
    schema = TIPTAP.extend(nodes=[NodeType(name="x", content=content)])
    with pytest.raises(ValueError, match=reason):
        from_json(Doc(), None, doc_of(p()), schema)


# What the schema does not know.


def test_nodes_and_marks_that_the_document_has_already_are_accepted() -> None:
    doc = raw_doc(
        block("callout", p("in"), kind="note"), p(text("x", mark("comment--AAAAAAAA", id=1)), "y")
    )
    value = to_json(doc, schema=TIPTAP)
    assert size_of_change(doc, lambda: from_json(doc, None, value)) == 0
    value["content"].append(p("more"))
    value["content"][0]["content"].append(p("inside"))
    value["content"][1]["content"][0]["text"] = "xx"
    from_json(doc, None, value)
    callout = to_json(doc, "default")["content"][0]
    assert callout == block("callout", p("in"), p("inside"), kind="note")
    paragraph = first_paragraph(doc, 1).children[0]
    assert isinstance(paragraph, XmlText)
    assert paragraph.diff()[0] == ("xx", {"comment--AAAAAAAA": {"id": 1.0}})


def test_overlapping_marks_are_stored_with_the_hash_that_editors_make() -> None:
    schema = TIPTAP.extend(marks=[COMMENT])
    doc: Doc[Any] = Doc()
    comments = [mark("comment", id="a", done=False), mark("comment", id=1.5, done=True)]
    from_json(doc, None, doc_of(p(text("x", *comments))), schema)
    assert to_json(doc, schema=schema)["content"][0]["content"] == [text("x", *comments)]
    letters = first_paragraph(doc).children[0]
    assert isinstance(letters, XmlText)
    assert sorted(letters.diff()[0][1] or {}) == ["comment--Q35Ah05V", "comment--tD7Adn8B"]


def test_unknown_nodes_survive_html_in_both_directions() -> None:
    doc = raw_doc(block("callout", p("in"), kind="note"), p("x", block("emoji", code=":-)")))
    schema = TIPTAP.extend(nodes=[NodeType(name="emoji", group="inline", is_inline=True)])
    html = to_html(doc, schema=schema).replace(">in<", ">inside<").replace("<p>x", "<p>y")
    assert not from_html(doc, None, html, schema)
    assert to_json(doc, "default")["content"] == [
        block("callout", p("inside"), kind="note"),
        p("y", block("emoji", code=":-)")),
    ]
    bad = '<span data-node="emoji" data-attrs="[1]"></span><span data-node="emoji" data-attrs="{">'
    from_html(doc, None, bad, schema)
    assert to_json(doc, "default")["content"] == [p(block("emoji"), block("emoji"))]


# Formats.


def test_any_format_can_be_named() -> None:
    doc: Doc[Any] = Doc()
    replace(doc, None, "*x*", format="markdown")
    assert to_html(doc) == "<p><em>x</em></p>"
    replace(doc, None, "<b>x</b>", format="html")
    assert to_markdown(doc) == "**x**\n"
    replace(doc, None, "x", format="text")
    replace(doc, None, doc_of(p("y")))
    assert to_text(doc) == "y"
    with pytest.raises(ValueError, match="'rtf' is not a format"):
        replace(doc, None, "x", format="rtf")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a <b>b</b> <a href='/x'>l</a>  c</p>", 'a <strong>b</strong> <a href="/x"'),
        ("x<div>one<div>two</div></div>", "<p>x</p><p>one</p><p>two</p>"),
        ("<p>a<br> b \n<br></p>", "<p>a<br>b<br></p>"),
        ("<p><b>a</b> <br>b</p>", "<p><strong>a</strong><br>b</p>"),
        ("<h2 style='text-align:center;x:y'>T</h2>", '<h2 style="text-align: center;">T</h2>'),
        ("<p>a<img src='/a.png' width=10>b</p>", '<img src="/a.png" width="10"><p>b</p>'),
        ("<img alt=x>", "<p></p>"),
        (
            "<pre><code class='a language-py'>x\n <i>y</i></code></pre>",
            '<code class="language-py">x\n y',
        ),
        ("<pre>a<br>b</pre><pre></pre>", "<pre><code>a\nb</code></pre><pre><code></code></pre>"),
        ("<li>a</li>", "<ul><li><p>a</p></li></ul>"),
        (
            "<ul><li><b>a</b> <i>b</i><div>c</div></li></ul>",
            "</strong> <em>b</em></p><p>c</p></li>",
        ),
        ("<ul>a</ul>", "<ul><li><p>a</p></li></ul>"),
        ("<ul></ul>", "<ul><li><p></p></li></ul>"),
        ("<ul><li><h1>a</h1></li></ul>", "<ul><li><p></p><h1>a</h1></li></ul>"),
        ("<ul><li>a</li><ul><li>b</li></ul></ul>", "<li><p>a</p><ul><li><p>b</p></li></ul></li>"),
        ("<ol start=3 type=a><li>x</ol>", '<ol start="3" type="a">'),
        ("<ol start=x><li>x</ol>", "<ol><li>"),
        (
            "<table><tr><td colspan=2 rowspan=x colwidth='10,x'>a</table>",
            '<td colspan="2" rowspan="1">',
        ),
        ("<td colwidth='10'>a", "<p>a</p>"),
        ("<blockquote>a</blockquote>", "<blockquote><p>a</p></blockquote>"),
        (
            "<u>a</u><s>b</s><i>c</i><mark>d</mark><code>e</code>",
            "<u>a</u><s>b</s><em>c</em><mark>d",
        ),
        ("<span style='font-weight: 600'>a</span>", "<strong>a</strong>"),
        ("<span style='font-weight: 400'>a</span>", "<p>a</p>"),
        ("<b style='font-weight: normal'>a</b>", "<p>a</p>"),
        ("<span style='text-decoration: underline line-through'>a</span>", "<s><u>a</u></s>"),
        ("<b><code>a</code></b>", "<p><code>a</code></p>"),
        ("<code><b>a</b></code>", "<p><code>a</code></p>"),
        ("<a href='javascript:x()'>a</a>", "<p>a</p>"),
        ("<a name=x>a</a>", "<p>a</p>"),
        ("<p onclick='x()' data-x=1>a<!-- b --></p>", "<p>a</p>"),
        ("&lt;script&gt; &amp;amp; \u00a0x", "<p>&lt;script&gt; &amp;amp; \u00a0x</p>"),
        ("<span data-type=mention data-id=7 data-label=Ann>@Ann</span>", 'data-label="Ann"'),
        ("<dl><dt>a<dd>b</dl>", "<p>a</p><p>b</p>"),
        ("<hr><p>  </p>", "<hr><p></p>"),
        ("<h1><p>a</p></h1>", "<p>a</p>"),
    ],
)
def test_html_is_read_as_browsers_show_it(html: str, expected: str) -> None:
    doc: Doc[Any] = Doc()
    from_html(doc, None, html)
    assert expected in to_html(doc)


def test_tasks_are_read_from_boxes() -> None:
    doc: Doc[Any] = Doc()
    from_html(
        doc,
        None,
        "<ul><li>plain</li> <li><label><input type=checkbox checked></label> <p>done</p></li>"
        "<li><p><input type=checkbox></p>to do</li><li data-checked=false>x<input type=text></li>"
        "<li><b>y</b><input></li></ul>",
    )
    assert to_markdown(doc) == ("- plain\n\n- [x] done\n\n- [ ]\n\n  to do\n\n- [ ] x\n\n- **y**\n")
    kinds = [node["type"] for node in to_json(doc, "default")["content"]]
    assert kinds == ["bulletList", "taskList", "bulletList"]


def test_dropped_elements_are_reported() -> None:
    doc: Doc[Any] = Doc()
    report = from_html(doc, None, "<script>a</script><video>b</video><video></video><p>c</p>")
    assert report
    assert report.dropped == {"<script>": 1, "<video>": 2}
    assert to_text(doc) == "b\n\nc"
    assert not from_html(doc, None, "<p>x</p>")


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("# a *b*", "<h1>a <em>b</em></h1>"),
        ("a  \nb\\\nc\nd", "<p>a<br>b<br>c d</p>"),
        ("- a\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
        ("```py\nx < 1\n```", '<pre><code class="language-py">x &lt; 1</code></pre>'),
        ("    indented", "<pre><code>indented</code></pre>"),
        ("~~a~~ <u>b</u> ==c==", "<s>a</s> <u>b</u> ==c=="),
        ("a[^1]\n\n[^1]: https://x.org", "<p>a[^1]</p><p>[^1]: https://x.org</p>"),
        ("[a]\n\n[a]: https://x.org", 'href="https://x.org"'),
        ("![a](/b.png)", '<img src="/b.png" alt="a">'),
        ("<aside>x</aside>", "<p>x</p>"),
        ("| a |\n| --- |\n| b |", "<th"),
        ("- [x](y)", "<li><p><a"),
        ("- [ ]", '<li data-checked="false"'),
        ("- [X] **a**", '<li data-checked="true"'),
        ("- `[x] a`", "<ul><li><p><code>"),
    ],
)
def test_markdown_is_githubs(markdown: str, expected: str) -> None:
    assert expected in html_of(markdown)


def test_text_is_paragraphs_with_line_breaks() -> None:
    doc: Doc[Any] = Doc()
    from_text(doc, None, "a\nb\r\n\r\nc\n\n\n <d>\n")
    assert to_html(doc) == "<p>a<br>b</p><p>c</p><p>&lt;d&gt;</p>"


@pytest.mark.parametrize("package", ["nh3", "markdown_it"])
def test_a_missing_package_is_named_with_the_way_to_get_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collab.content.formats import markdown_reader

    markdown_reader._parser.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install 'django-collab\[content\]'"):
        from_markdown(Doc(), None, "x")


# What a format cannot say.


def rich() -> Doc[Any]:
    """Return a document with much that Markdown and text cannot say."""
    centered = block(
        "paragraph", "one ", text("two", mark("highlight")), " three", textAlign="center"
    )
    return raw_doc(
        block("heading", "Title", level=2, textAlign="right"),
        centered,
        p(),
        p("by ", block("mention", id="7", label="Ann", mentionSuggestionChar="@"), "  twice"),
        block("codeBlock", "x = 1\ny = 2", language="py"),
        block("bulletList", li("a"), li("b")),
    )


def test_alignment_mentions_and_empty_paragraphs_survive_an_edit_in_markdown() -> None:
    doc = rich()
    edited = to_markdown(doc).replace("three", "3").replace("by ", "written by ") + "\nend\n"
    from_markdown(doc, None, edited)
    found = to_json(doc, "default")["content"]
    expected = to_json(rich(), "default")["content"]
    expected[1]["content"][2]["text"] = " 3"
    expected[3]["content"][0]["text"] = "written by "
    assert found == [*expected, p("end")]


def test_marks_and_kinds_of_blocks_survive_an_edit_in_text() -> None:
    doc = rich()
    edited = (
        to_text(doc).replace("Title", "A title").replace("x = 1", "x = 2").replace("two", "TWO")
    )
    assert not from_text(doc, None, edited)
    assert to_text(doc) == edited
    found = to_json(doc, "default")["content"]
    assert found[0] == block("heading", "A title", level=2, textAlign="right")
    assert found[1]["attrs"] == {"textAlign": "center"}
    assert found[4] == block("codeBlock", "x = 2\ny = 2", language="py")
    assert found[5] == block("bulletList", li("a"), li("b"))


def test_a_kind_of_block_that_a_format_cannot_say_is_reported_when_it_is_lost() -> None:
    doc = raw_doc(block("bulletList", li("a"), li("b")), p("x"))
    report = from_text(doc, None, to_text(doc).replace("- a", "- c"))
    assert report.dropped == {"node bulletList": 1}
    assert to_html(doc) == "<p>- c<br>- b</p><p>x</p>"


def test_a_block_deleted_in_a_format_is_deleted() -> None:
    doc = rich()
    from_markdown(doc, None, "one")
    assert to_json(doc, "default")["content"] == [block("paragraph", "one", textAlign="center")]


def test_an_inline_node_goes_when_its_text_is_changed() -> None:
    doc = raw_doc(p("a ", block("mention", id="7", label="Ann", mentionSuggestionChar="@"), " b"))
    from_markdown(doc, None, "a @Bob b")
    assert to_json(doc, "default")["content"] == [p("a @Bob b")]


def test_a_link_keeps_what_its_format_does_not_say() -> None:
    own = mark("link", href="/x", target="_self", rel=None, title=None)
    own["attrs"]["class"] = None
    doc = raw_doc(p(text("a", own), " b"))
    from_markdown(doc, None, "[a](/x) c")
    assert to_json(doc, "default")["content"][0]["content"][0] == text("a", own)
    from_markdown(doc, None, "[a](/y) c")
    assert to_html(doc) == (
        '<p><a href="/y" target="_blank" rel="noopener noreferrer nofollow">a</a> c</p>'
    )


def test_items_of_a_list_that_has_others_now_are_matched() -> None:
    doc = raw_doc(block("bulletList", li("a"), block("listItem", p("b", block("mention", id="1")))))
    from_markdown(doc, None, "- new\n- a\n- b@1 x")
    assert to_json(doc, "default")["content"] == [
        block(
            "bulletList",
            li("new"),
            li("a"),
            block("listItem", p("b", block("mention", id="1"), " x")),
        )
    ]
