"""Documents of Quill and Lexical, and plain texts."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab.content import (
    LEXICAL,
    MARKDOWN,
    PLAIN,
    PROSEMIRROR_BASIC,
    QUILL,
    from_html,
    from_json,
    from_markdown,
    from_text,
    to_html,
    to_json,
    to_markdown,
    to_text,
)
from collab.exceptions import ContentError, InvalidContent

DELTA: list[dict[str, Any]] = [
    {"insert": "Title"},
    {"insert": "\n", "attributes": {"align": "center", "header": 1}},
    {"insert": "a "},
    {"insert": "b", "attributes": {"bold": True, "color": "red"}},
    {"insert": "2", "attributes": {"script": "sub"}},
    {"insert": "l", "attributes": {"link": "/x", "wobbly": "x"}},
    {"insert": "\none"},
    {"insert": "\n", "attributes": {"list": "bullet"}},
    {"insert": "nested"},
    {"insert": "\n", "attributes": {"indent": 1, "list": "ordered"}},
    {"insert": "deeper"},
    {"insert": "\n", "attributes": {"indent": 2, "list": "bullet"}},
    {"insert": "two"},
    {"insert": "\n", "attributes": {"list": "bullet"}},
    {"insert": "done"},
    {"insert": "\n", "attributes": {"list": "checked"}},
    {"insert": "x = 1"},
    {"insert": "\n\n", "attributes": {"code-block": "python"}},
    {"insert": "y"},
    {"insert": "\n", "attributes": {"code-block": True}},
    {"insert": {"image": "/a.png"}, "attributes": {"alt": "A", "link": "/x"}},
    {"insert": {"formula": "e=mc"}},
    {"insert": {"video": "/v"}},
    {"insert": "\nq"},
    {"insert": "\n", "attributes": {"blockquote": True, "indent": 2}},
    {"insert": "end\n"},
]


def quill(delta: Any = DELTA) -> Doc[Any]:
    """Return a document of a delta."""
    doc: Doc[Any] = Doc()
    from_json(doc, None, delta, QUILL)
    return doc


def test_a_delta_is_written_and_read() -> None:
    assert to_json(quill(), schema=QUILL) == DELTA
    assert to_json(quill({"ops": DELTA}), schema=QUILL) == DELTA


def test_a_delta_looks_as_quill_shows_it() -> None:
    doc = quill()
    assert to_markdown(doc, schema=QUILL) == (
        "# Title\n\na **b**<sub>2</sub>[l](/x)\n\n- one\n  1. nested\n     - deeper\n- two\n\n"
        "- [x] done\n\n```python\nx = 1\n\n```\n\n```\ny\n```\n\n[![A](/a.png)](/x)\n\n> q\n\nend\n"
    )
    html = to_html(doc, schema=QUILL)
    assert html.startswith('<h1 style="text-align: center;">Title</h1><p>a <strong>')
    assert '<span style="color: red;">b</span>' in html
    assert '<a href="/v"><span>video</span></a>' in html
    assert "formula" in html
    assert to_text(doc, schema=QUILL).endswith("A\n\nq\n\nend")


def test_formats_that_are_off_are_no_marks() -> None:
    off = {"bold": False, "script": None, "link": ""}
    assert to_html(quill([{"insert": "a", "attributes": off}]), schema=QUILL) == "<p>a</p>"
    strange = quill([{"insert": "a", "attributes": {"script": "none"}}])
    assert 'data-mark="script"' in to_html(strange, schema=QUILL)


def test_all_of_a_delta_survives_an_edit_in_markdown() -> None:
    doc = quill()
    markdown = to_markdown(doc, schema=QUILL)
    changed = (
        markdown.replace("end", "the end").replace("nested", "NESTED").replace("a **b", "A **b")
    )
    from_markdown(doc, None, changed, QUILL)
    expected = [dict(each) for each in DELTA]
    for index, text in ((2, "A "), (8, "NESTED"), (25, "the end\n")):
        expected[index]["insert"] = text
    assert to_json(doc, schema=QUILL) == expected


def test_content_of_other_editors_becomes_a_delta() -> None:
    doc: Doc[Any] = Doc()
    report = from_html(
        doc,
        None,
        "<h2 style='text-align:right'>a</h2>"
        "<ul><li>b<br>c<p>d</p><ol><li>e</ol><li><pre>f</pre></ul>"
        "<ul><li data-checked=false>g</ul><blockquote><p>h</p><ul><li>i</ul></blockquote>"
        "<img src='/a.png' width=5><sup>2</sup><span style='color: red'>j</span><hr>",
        QUILL,
    )
    assert report.dropped == {"<hr>": 1}
    assert to_json(doc, schema=QUILL) == [
        {"insert": "a"},
        {"insert": "\n", "attributes": {"align": "right", "header": 2}},
        {"insert": "b"},
        {"insert": "\n", "attributes": {"list": "bullet"}},
        {"insert": "c"},
        {"insert": "\n", "attributes": {"list": "bullet"}},
        {"insert": "d"},
        {"insert": "\n", "attributes": {"indent": 1}},
        {"insert": "e"},
        {"insert": "\n", "attributes": {"indent": 1, "list": "ordered"}},
        {"insert": "\n", "attributes": {"list": "bullet"}},
        {"insert": "f"},
        {"insert": "\n", "attributes": {"code-block": True}},
        {"insert": "g"},
        {"insert": "\n", "attributes": {"list": "unchecked"}},
        {"insert": "h"},
        {"insert": "\n", "attributes": {"blockquote": True}},
        {"insert": "i"},
        {"insert": "\n", "attributes": {"list": "bullet"}},
        {"insert": {"image": "/a.png"}, "attributes": {"width": 5}},
        {"insert": "2", "attributes": {"script": "super"}},
        {"insert": "j", "attributes": {"color": "red"}},
    ]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("", []),
        ("a\n\nb", [{"insert": "a\nb"}]),
        ("# a", [{"insert": "a"}, {"insert": "\n", "attributes": {"header": 1}}]),
        ("<p>a</p><p></p>", [{"insert": "a\n\n"}]),
    ],
)
def test_the_last_line_end_is_left_to_quill(markdown: str, expected: Any) -> None:
    doc: Doc[Any] = Doc()
    read = from_html if markdown.startswith("<") else from_markdown
    read(doc, None, markdown, QUILL)
    assert to_json(doc, schema=QUILL) == expected


def test_the_last_line_end_stays_where_it_is_stored() -> None:
    doc = quill([{"insert": "a\nb\n"}])
    from_markdown(doc, None, "a\n\nc", QUILL)
    assert to_json(doc, schema=QUILL) == [{"insert": "a\nc\n"}]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (5, "must be a delta"),
        ({"ops": "x"}, "must be a delta"),
        (["x"], r"ops\[0\] must insert"),
        ([{"retain": 1}], r"ops\[0\] must insert"),
        ([{"insert": 5}], r"ops\[0\] must insert"),
        ([{"insert": "x", "attributes": 5}], r"ops\[0\] must insert"),
        ([{"insert": "\ud83d"}], "half of a surrogate pair"),
        ([{"insert": "x", "attributes": {"a": 2**60}}], "larger than integers"),
    ],
)
def test_a_delta_that_is_not_valid_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(InvalidContent, match=reason):
        quill(value)


def test_a_plain_text_is_what_it_is() -> None:
    doc: Doc[Any] = Doc()
    from_text(doc, None, "a\n\n  b *x*\n", PLAIN)
    assert to_text(doc, schema=PLAIN) == to_json(doc, schema=PLAIN) == "a\n\n  b *x*\n"
    assert to_html(doc, schema=PLAIN) == "<p>a</p><p>b *x*</p>"
    assert to_markdown(doc, schema=PLAIN) == "a\n\nb \\*x\\*\n"
    from_html(doc, None, "<h1>T</h1><p>x</p>", PLAIN)
    assert to_json(doc, schema=PLAIN) == "T\n\nx"
    with pytest.raises(InvalidContent, match="of 'plain' must be a string"):
        from_json(doc, None, ["x"], PLAIN)


def test_a_text_that_is_markdown_is_read_as_such() -> None:
    doc: Doc[Any] = Doc()
    from_markdown(doc, None, "# a\n\n* b\n", MARKDOWN)
    assert to_markdown(doc, schema=MARKDOWN) == "# a\n\n* b\n"
    assert to_html(doc, schema=MARKDOWN) == "<h1>a</h1><ul><li><p>b</p></li></ul>"
    assert to_text(doc, schema=MARKDOWN) == "a\n\n- b"
    from_html(doc, None, "<h1>a</h1><ul><li>b<li>c</ul>", MARKDOWN)
    assert to_json(doc, schema=MARKDOWN) == "# a\n\n- b\n- c\n"


def test_the_basic_schema_has_its_own_names() -> None:
    doc: Doc[Any] = Doc()
    markdown = "# a\n\n3. **b**\\\n   *c* `d`\n\n- ![e](/e.png) ~~f~~\n\n---\n\n```x\ng\n```\n"
    report = from_markdown(doc, None, markdown, PROSEMIRROR_BASIC)
    assert report.dropped == {"<s>": 1}
    assert to_html(doc, schema=PROSEMIRROR_BASIC) == (
        '<h1>a</h1><ol start="3"><li><p><strong>b</strong><br><em>c</em> <code>d</code></p></li>'
        "</ol>"
        '<ul><li><p><img src="/e.png" alt="e"> f</p></li></ul><hr><pre><code>g</code></pre>'
    )
    assert to_markdown(doc, schema=PROSEMIRROR_BASIC) == (
        markdown.replace("~~", "").replace("```x", "```")
    )
    assert to_text(doc, schema=PROSEMIRROR_BASIC) == "a\n\n3. b\n   c d\n\n- e f\n\ng"


# Lexical.


def lexical(*nodes: Any) -> Doc[Any]:
    """Return a document in the layout of Lexical."""
    made: Doc[Any] = Doc()
    # Only a fragment takes texts, which are the same in the bytes.
    root = made.get("root", type=XmlFragment)
    for node in nodes:
        if node.get("__decorator"):
            _set(root.children.append(XmlElement("UNDEFINED")), node)
        else:
            _fill(root.children.append(XmlText()), node)
    doc: Doc[Any] = Doc()
    doc.apply_update(made.get_update())
    return doc


def _fill(text: XmlText, node: dict[str, Any]) -> None:
    """Make a text a node."""
    for key, value in node.items():
        if key != "children":
            text.attributes[key] = value
    for child in node["children"]:
        _append(text, child)


def _set(element: XmlElement, node: dict[str, Any]) -> None:
    for key, value in node.items():
        if key != "__decorator":
            element.attributes[key] = value


def _append(text: XmlText, node: Any) -> None:
    if isinstance(node, str):
        text.insert(len(text), node)
    elif node.get("__leaf"):
        text.insert_embed(len(text), Map({k: v for k, v in node.items() if k != "__leaf"}))
    elif node.get("__decorator"):
        element = XmlElement("UNDEFINED")
        text.insert_embed(len(text), element)
        _set(element, node)
    else:
        inner = XmlText()
        text.insert_embed(len(text), inner)
        _fill(inner, node)


def decorator(kind: str, **properties: Any) -> dict[str, Any]:
    """Return a node without children."""
    named = {f"__{key}": value for key, value in properties.items()}
    return {"__decorator": True, "__type": kind, **named}


def el(kind: str, *children: Any, **properties: Any) -> dict[str, Any]:
    """Return a node with children."""
    named = {f"__{key}": value for key, value in properties.items()}
    return {"__type": kind, **named, "children": children}


def t(format: int = 0, style: str = "", kind: str = "text") -> dict[str, Any]:
    """Return the properties of a text; its letters follow."""
    return {"__leaf": True, "__type": kind, "__format": format, "__style": style, "__mode": 0}


BREAK = {"__leaf": True, "__type": "linebreak"}


def test_lexical_documents_look_as_the_editor_shows_them() -> None:
    doc = lexical(
        el("heading", t(1), "Title", tag="h2", format=2),
        el("paragraph", t(3, "color: red; x"), "a", BREAK, el("link", t(), "b", url="/x")),
        el("quote", t(), "q"),
        el(
            "list",
            el("listitem", t(), "one"),
            el("listitem", el("list", el("listitem", t(), "in"), listType="number", start=2)),
            el("listitem"),
            listType="bullet",
        ),
        el("list", el("listitem", t(), "t", checked=True), listType="check"),
        el("code", t(0, "", "code-highlight"), "x", BREAK, t(0, "", "tab"), "\t", language="py"),
        el("code"),
        decorator("horizontalrule"),
        el(
            "table",
            el("tablerow", el("tablecell", el("paragraph", t(), "h"), headerState=1)),
            el("tablerow", el("tablecell", el("paragraph", t(), "d"), colSpan=1)),
        ),
        el(
            "paragraph",
            {"__decorator": True, "__type": "image", "__src": "/a.png", "__altText": "A"},
        ),
        el("callout", el("paragraph", t(), "in"), tone="note"),
        el("aside", t(), "line"),
        el("paragraph", decorator("emoji", name="smile"), t()),
    )
    markdown = to_markdown(doc, schema=LEXICAL)
    assert markdown == (
        "## **Title**\n\n***a***\\\n[b](/x)\n\n> q\n\n- one\n\n  2. in\n\n-\n\n- [x] t\n\n"
        "```py\nx\n\t\n```\n\n```\n```\n\n---\n\n| h |\n| --- |\n| d |\n\n"
        "![A](/a.png)\n\nin\n\nline\n"
    )
    html = to_html(doc, schema=LEXICAL)
    assert html.startswith('<h2 style="text-align: center;"><strong>Title</strong></h2>')
    assert '<span style="color: red;">a</span>' in html
    assert 'data-node="callout"' in html and 'data-node="emoji"' in html


def test_embeds_that_lexical_does_not_write_are_left_out() -> None:
    text = t()
    paragraph = el("paragraph", text, "a", textFormat=2)
    doc = lexical(paragraph, el("heading", t(), "b", tag="h1", textFormat=1, textStyle="x"))
    root = doc.get("root", type=Text)
    root.insert_embed(0, {"unknown": 1})
    first, second = to_json(doc, schema=LEXICAL)["root"]["children"]
    assert (first["textFormat"], second["textFormat"], second["textStyle"]) == (2, 1, "x")


def test_lexical_content_that_nests_too_deeply_is_refused() -> None:
    node = el("paragraph")
    for _ in range(201):
        node = el("quote", node)
    with pytest.raises(ContentError, match="more than 200 nodes"):
        to_json(lexical(node), schema=LEXICAL)


def test_a_text_before_any_node_of_lexical_is_left_out() -> None:
    loose: Doc[Any] = Doc({"root": Text("loose")})
    assert to_json(loose, schema=LEXICAL)["root"]["children"] == []
    assert LEXICAL.layout.tree_schema(LEXICAL).name == "lexical-tree"
    with pytest.raises(ContentError, match="read, not written"):
        LEXICAL.layout.from_tree({"type": "doc"}, LEXICAL, None)
