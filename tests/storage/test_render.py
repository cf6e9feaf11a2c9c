from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab_storage.render import MAX_DEPTH, OMITTED, render_json, render_text

#: Made by Yjs in JavaScript, see the file beside it.
YJS = Path(__file__).with_name("everything.hex")


def reread(roots: dict[str, Any]) -> Doc[Any]:
    """Return a document whose roots have lost their types, as those of a stored one."""
    doc: Doc[Any] = Doc()
    doc.apply_update(Doc(roots).get_update())
    return doc


def formatted() -> Doc[Any]:
    doc: Doc[Any] = Doc()
    doc["text"] = text = Text("plain bold")
    text.format(6, 10, {"bold": True})
    text.insert_embed(0, {"image": "a.png"})
    return doc


@pytest.mark.parametrize(
    ("root", "value", "shown"),
    [
        (Text("Grüße\n"), "Grüße\n", "Grüße\n"),
        (Text("a 😀, at its place"), "a 😀, at its place", "a 😀, at its place"),
        (Map({"b": 1, "a": [None, True]}), {"a": [None, True], "b": 1}, None),
        (Array(["x", 2, 2.5, {"y": []}]), ["x", 2, 2.5, {"y": []}], None),
        (Array(["x"]), ["x"], None),
        (Array([{"only": "a dict"}]), [{"only": "a dict"}], None),
        (Array([Map({"a": Text("b")}), Array([1])]), [{"a": "b"}, [1]], None),
        (Array([Text("a"), "b"]), ["a", "b"], None),
        (
            XmlFragment([XmlElement("p", {"b": "<", "a": '"'}, [XmlText("x & y")]), XmlText("z")]),
            [{"tag": "p", "attributes": {"a": '"', "b": "<"}, "children": ["x & y"]}, "z"],
            '<p a=\'"\' b="&lt;">x &amp; y</p>\nz',
        ),
        (
            XmlFragment([XmlElement("br")]),
            [{"tag": "br", "attributes": {}, "children": []}],
            "<br/>",
        ),
    ],
)
def test_roots_of_each_type(root: Any, value: Any, shown: str | None) -> None:
    doc = reread({"root": root})
    assert render_json(doc) == {"root": value}
    assert render_text(doc) == (shown or json.dumps(value, indent=2, ensure_ascii=False))


def test_keys_are_in_a_fixed_order() -> None:
    assert list(render_json(reread({"root": Map({"b": 1, "a": 2})}))["root"]) == ["a", "b"]


def test_numbers_are_those_of_json() -> None:
    values = [1.0, -0.5, float("nan"), float("inf"), 2**53 + 1]
    assert render_json(reread({"n": Array(values)})) == {"n": [1, -0.5, None, None, 2**53 + 1]}


def test_bytes_are_base64() -> None:
    assert render_json(reread({"m": Map({"b": b"\0\xff"})})) == {"m": {"b": "AP8="}}


def test_formatted_text() -> None:
    doc = formatted()
    assert render_json(doc) == {
        "text": [
            {"insert": {"image": "a.png"}},
            {"insert": "plain "},
            {"insert": "bold", "attributes": {"bold": True}},
        ]
    }
    assert render_text(doc) == '{\n  "image": "a.png"\n}plain bold'


def test_several_roots_have_headlines() -> None:
    doc = reread({"b": Text("two"), "a": Text("one")})
    assert render_text(doc) == "a\n-\none\n\nb\n-\ntwo"


def test_an_empty_document_renders_as_nothing() -> None:
    assert (render_json(Doc()), render_text(Doc())) == ({}, "")
    doc: Doc[Any] = Doc()
    doc["text"] = text = Text("gone")
    text.clear()
    assert (render_json(doc), render_text(doc)) == ({"text": None}, "")


def test_the_document_is_left_as_it_is() -> None:
    doc = reread({"text": Text("hello")})
    before = doc.get_update()
    render_json(doc)
    render_text(doc)
    assert doc.get_update() == before
    assert list(doc.values()) == [None]
    doc.get("text", type=Text).insert(0, "well, ")
    assert render_text(doc) == "well, hello"


def test_deep_nesting_is_cut_off() -> None:
    doc: Doc[Any] = Doc()
    doc["xml"] = fragment = XmlFragment()
    with doc.transaction():
        element = fragment.children.append(XmlElement("p"))
        for _ in range(2_000):
            element = element.children.append(XmlElement("p"))
    assert render_text(doc).count("<p>") == MAX_DEPTH + 1
    assert OMITTED in json.dumps(render_json(doc))


def test_documents_of_javascript_editors() -> None:
    doc: Doc[Any] = Doc()
    doc.apply_update(bytes.fromhex(YJS.read_text()))
    rendered = render_json(doc)
    assert json.loads(json.dumps(rendered)) == rendered
    assert rendered["prosemirror"][0] == {
        "tag": "heading",
        "attributes": {"level": 2, "meta": {"a": [1, None, True]}},
        "children": ["Title <x> & y"],
    }
    assert rendered["prosemirror"][1]["children"][0][1] == {
        "insert": "bold",
        "attributes": {"bold": True, "link": {"href": "http://example.com"}},
    }
    assert rendered["lexical"] == [
        {
            "attributes": {"__indent": 0, "__type": "paragraph"},
            "content": [{"insert": {"__type": "text"}}, {"insert": "hello lexical"}],
        }
    ]
    assert rendered["map"]["subdocument"] == {"guid": "the guid"}
    assert rendered["array"][4] == {"tag": "z", "attributes": {}, "children": []}
    shown = render_text(doc)
    assert "<paragraph>plain bold<hard_break/></paragraph>" in shown
    assert '{"__type": "text"}hello lexical' in shown
    assert '<heading level="2" meta=\'{"a": [1, null, true]}\'>' in shown
