"""Content that was written to do harm: to readers of a page, or to the server."""

from __future__ import annotations

import re
from contextlib import suppress
from html.parser import HTMLParser
from typing import Any

import pytest
from pycrdt import Doc, Text, XmlElement, XmlFragment

from collab.content import (
    BLOCKNOTE,
    MARKDOWN,
    PROSEMIRROR_BASIC,
    QUILL,
    TIPTAP,
    Attribute,
    NodeType,
    Schema,
    from_html,
    from_json,
    from_markdown,
    from_text,
    to_html,
    to_json,
    to_text,
)
from collab.exceptions import ContentError, InvalidContent

from .samples import block, doc_of, mark, p, raw_doc, text

SCHEMAS = [TIPTAP, BLOCKNOTE, PROSEMIRROR_BASIC, QUILL, MARKDOWN]
#: Attacks on pages that show HTML of others, and on what cleans it.
PAYLOADS = [
    "javascript:alert(1)",
    " JaVa\nScript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><circle></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img onerror=x&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java&#10;script:alert(1)'>x</a>",
    "<a href='&#1;javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<p style='background:url(javascript:alert(1))'>x</p>",
    "<p style='text-align: x&quot; onclick=alert(1)'>x</p>",
    "<p style='text-align:\\65xpression(alert(1))'>x</p>",
    "<details open ontoggle=alert(1)>x</details>",
    "<input autofocus onfocus=alert(1)>",
    "<base href='//evil.example'>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    '<div data-node=\'"><script>alert(1)</script>\' data-attrs=\'{"a": "</div><script>"}\'>x</div>',
    "<pre><code class='language-\"><script>alert(1)</script>'>x</code></pre>",
    "<span data-type=mention data-id='\"><img src=x onerror=x>' data-label='<script>'>x</span>",
    "<img src='/a.png' alt='\"><script>alert(1)</script>'>",
    "<td align='\" onclick=alert(1)'><th colspan='1\" onclick=alert(1)'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<template><script>alert(1)</script></template>",
    "<xmp><p title='</xmp><script>alert(1)</script>'>",
    "[x](javascript:alert(1)) ![x](javascript:alert(1)) <javascript:alert(1)>",
    '[x](/a "\\"onmouseover=alert(1)")',
    '![x" onerror=alert(1) y](/a.png)',
    '```"><script>\nx\n```',
]
PROTOCOLS = ("data:", "javascript:", "vbscript:")


class _Checker(HTMLParser):
    """Finds what runs code in HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("base", "embed", "form", "iframe", "link", "math", "meta", "object", "script"):
            self.found.append(tag)
        if tag in ("style", "svg", "template"):
            self.found.append(tag)
        for name, value in attrs:
            # As browsers read it: without the spaces and signs that they leave out.
            address = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if name.startswith("on") or name in ("srcdoc", "formaction"):
                self.found.append(f"{tag} {name}")
            if name in ("href", "src") and address.startswith(
                ("javascript:", "vbscript:", "data:")
            ):
                self.found.append(f"{tag} {name}={value}")
            if name == "style" and ("(" in address or "\\" in address):
                self.found.append(f"{tag} {name}={value}")


def dangers(html: str) -> list[str]:
    """Return what runs code in HTML."""
    checker = _Checker()
    checker.feed(html)
    checker.close()
    return checker.found


def test_the_checker_finds_dangers() -> None:
    assert [payload for payload in PAYLOADS[4:8] if not dangers(payload)] == []
    assert dangers("<a href='javascript:x'>") and dangers("<p style='a:url(x)'>")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_script_gets_through_in_any_format(payload: str) -> None:
    for schema in SCHEMAS:
        for read in (from_html, from_markdown, from_text):
            doc: Doc[Any] = Doc()
            read(doc, None, payload, schema)
            html = to_html(doc, schema=schema)
            assert dangers(html) == [], (schema.name, read.__name__, html)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_script_that_a_client_has_stored_gets_through(payload: str) -> None:
    nodes = [
        block("image", src=payload, alt=payload, title=payload, width=payload),
        block("heading", payload, level=payload, textAlign=payload),
        block("codeBlock", payload, language=payload),
        block("orderedList", block("listItem", p(payload)), start=payload, type=payload),
        block("taskList", block("taskItem", p(payload), checked=payload)),
        block(
            "table",
            block(
                "tableRow",
                block("tableCell", p(payload), colspan=payload, colwidth=[payload], align=payload),
            ),
        ),
        p(text(payload, mark("link", href=payload, target=payload, rel=payload, title=payload))),
        p(
            text(payload, mark("textColor", stringValue=payload)),
            block("mention", id=payload, label=payload),
        ),
        p(text(payload, mark(payload, x=payload))),
        block(payload, p(payload), x=payload),
    ]
    for schema in (TIPTAP, PROSEMIRROR_BASIC):
        html = to_html(raw_doc(*nodes, field=schema.field), schema=schema)
        assert dangers(html) == [], html
        assert "<script" not in html
    delta = [
        {
            "insert": payload,
            "attributes": {"link": payload, "color": payload, "font": payload, payload: payload},
        },
        {"insert": "\n", "attributes": {"header": payload, "align": payload, "list": payload}},
        {"insert": {"image": payload}, "attributes": {"alt": payload, "width": payload}},
        {"insert": {"video": payload}},
        {"insert": {payload: payload}},
        {"insert": "x"},
        {"insert": "\n", "attributes": {"code-block": payload}},
    ]
    doc: Doc[Any] = Doc()
    from_json(doc, None, delta, QUILL)
    assert dangers(to_html(doc, schema=QUILL)) == []
    blocks = [
        {
            "type": kind,
            "props": {
                "url": payload,
                "name": payload,
                "caption": payload,
                "textColor": payload,
                "language": payload,
            },
        }
        for kind in ("image", "video", "audio", "file", "codeBlock", "paragraph")
    ]
    from_json(doc, None, blocks, BLOCKNOTE)
    assert dangers(to_html(doc, schema=BLOCKNOTE)) == []


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 3000,
        "<blockquote>" * 3000,
        "<ul><li>" * 2000,
        "<b><i>" * 3000,
        "<table><tr><td>" * 500,
    ],
)
def test_html_that_is_nested_deeply_is_flat_from_some_depth_on(html: str, schema: Schema) -> None:
    doc: Doc[Any] = Doc()
    try:
        from_html(doc, None, f"{html}x", schema)
    except InvalidContent as error:
        assert "more than 200 nodes deep" in str(error)
    else:
        assert "x" in str(to_json(doc, schema=schema))


def test_values_that_are_nested_deeply_are_refused() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    for schema, content in (
        (TIPTAP, doc_of(block("paragraph", textAlign=value))),
        (QUILL, [{"insert": {"x": value}}]),
    ):
        with pytest.raises(InvalidContent, match="more than 200 values deep"):
            from_json(Doc(), None, content, schema)


@pytest.mark.parametrize("read", [from_html, from_markdown, from_text])
@pytest.mark.parametrize("schema", SCHEMAS)
def test_half_a_surrogate_pair_is_refused_in_every_format(read: Any, schema: Schema) -> None:
    doc: Doc[Any] = Doc()
    with pytest.raises(InvalidContent, match="half of a surrogate pair"):
        read(doc, None, "a\ud83d", schema)
    assert to_text(doc, schema=schema) == ""


def test_numbers_that_are_too_long_are_left_out() -> None:
    doc: Doc[Any] = Doc()
    long = "9" * 5000
    from_html(
        doc,
        None,
        f"<ol start={long}><li>x</ol>"
        f"<table><tr><td colspan={long} colwidth={long}>y</table><ol start=²><li>z</ol>",
    )
    assert long not in to_html(doc)
    assert to_text(doc) == "1. x\n\ny\n\n1. z"


def test_a_table_that_lacks_most_of_its_cells_is_refused() -> None:
    wide = "|a" * 500 + "\n" + "|-" * 500 + "\n" + "|\n" * 500
    with pytest.raises(InvalidContent, match="lack most of their cells"):
        from_markdown(Doc(), None, wide)
    from_markdown(Doc(), None, "|a|b|\n|-|-|\n" + "|\n" * 200)


def test_many_parts_of_one_line_are_written_as_they_are() -> None:
    for schema in (TIPTAP, BLOCKNOTE, QUILL):
        doc: Doc[Any] = Doc()
        from_html(doc, None, "<p>" + "<i>a</i>b<b>c<i>d</i></b>" * 300, schema)
        assert to_text(doc, schema=schema) == "abcd" * 300
        assert to_html(doc, schema=schema).count("<em>") == 600


def test_values_that_are_embedded_in_a_text_may_be_of_any_type() -> None:
    doc: Doc[Any] = Doc()
    root = doc.get("quill", type=Text)
    for index, value in enumerate([5, [1], None, "x"]):
        root.insert_embed(index, value)
    assert [each["insert"] for each in to_json(doc, schema=QUILL)][:3] == [5, [1], None]
    assert to_html(doc, schema=QUILL).count("data-node") >= 3


def test_many_items_without_a_list_are_one_list() -> None:
    doc: Doc[Any] = Doc()
    assert not from_html(doc, None, "<li>a</li>" * 500)
    [found] = to_json(doc, schema=TIPTAP)["content"]
    assert (found["type"], len(found["content"])) == ("bulletList", 500)


@pytest.mark.parametrize("schema", [TIPTAP, BLOCKNOTE, PROSEMIRROR_BASIC, QUILL])
def test_roots_of_another_type_do_no_harm(schema: Schema) -> None:
    doc: Doc[Any] = Doc({schema.field: Text("loose")})
    for read in (to_html, to_text, to_json):
        with suppress(ContentError):
            read(doc, schema=schema)
    doc = Doc({schema.field: XmlFragment([XmlElement("paragraph", {"a": "b"}, [])])})
    for read in (to_html, to_text, to_json):
        read(doc, schema=schema)


@pytest.mark.parametrize("name", ["onclick", "ONERROR", "style", "srcdoc", "srcset"])
def test_a_schema_cannot_write_what_others_say_into_code_or_styles(name: str) -> None:
    with pytest.raises(ValueError, match="cannot hold what others write"):
        Attribute(html=name)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_addresses_in_nodes_of_a_project_are_safe(payload: str) -> None:
    table = {name: Attribute(html=name) for name in ("href", "poster", "data-note")}
    own = TIPTAP.extend(
        nodes=[
            NodeType(name="clip", group="block", attributes=table, html="a"),
            NodeType(
                name="photo", group="block", attributes={"u": Attribute(html="SRC")}, html="img"
            ),
        ]
    )
    values = dict.fromkeys(table, payload)
    doc = raw_doc(block("clip", **values), block("photo", u=payload))
    assert dangers(to_html(doc, schema=own)) == []
