"""Promises that hold for content of any shape."""

from __future__ import annotations

from typing import Any

import nh3
from hypothesis import given, settings
from prosemirror.model import Node as ProseMirrorNode
from prosemirror.model import Schema as ProseMirrorSchema
from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from collab.content import (
    TIPTAP,
    from_html,
    from_json,
    from_markdown,
    from_text,
    to_html,
    to_json,
    to_markdown,
    to_text,
)
from collab.content.formats.markdown_reader import read_markdown
from collab.content.trees import Node, inline_text, make_node, make_text, walk

from .strategies import documents


def updates(doc: Doc[Any], change: Any) -> list[bytes]:
    """Return the updates that a change makes."""
    made: list[bytes] = []
    subscription = doc.observe(lambda event: made.append(event.update))
    change()
    doc.unobserve(subscription)
    return made


def synced(one: Doc[Any], other: Doc[Any]) -> None:
    other.apply_update(one.get_update(other.get_state()))
    one.apply_update(other.get_update(one.get_state()))


@settings(max_examples=25)
@given(documents)
def test_any_tree_reads_as_it_was_written(tree: Node) -> None:
    doc: Doc[Any] = Doc()
    from_json(doc, None, tree)
    assert to_json(doc, schema=TIPTAP) == tree


@settings(max_examples=25)
@given(documents, documents)
def test_content_becomes_another_and_then_needs_no_edit(before: Node, after: Node) -> None:
    doc: Doc[Any] = Doc()
    from_json(doc, None, before)
    from_json(doc, None, after)
    assert to_json(doc, schema=TIPTAP) == after
    assert updates(doc, lambda: from_json(doc, None, after)) == []


@settings(max_examples=25)
@given(documents)
def test_content_given_back_as_it_was_got_changes_nothing(tree: Node) -> None:
    doc: Doc[Any] = Doc()
    from_json(doc, None, tree)
    assert updates(doc, lambda: from_html(doc, None, to_html(doc))) == []
    assert updates(doc, lambda: from_markdown(doc, None, to_markdown(doc))) == []
    assert updates(doc, lambda: from_text(doc, None, to_text(doc))) == []


@settings(max_examples=25)
@given(documents, documents)
def test_letters_that_two_type_meanwhile_elsewhere_stay(before: Node, after: Node) -> None:
    server, *clients = docs = [Doc[Any]() for _ in range(3)]
    from_json(server, None, _between(before))
    for client in clients:
        synced(server, client)
    for client, index in zip(clients, (0, -1), strict=True):
        paragraphs = list(client.get("default", type=XmlFragment).children)
        paragraph = paragraphs[index]
        assert isinstance(paragraph, XmlElement)
        text = paragraph.children[0]
        assert isinstance(text, XmlText)
        text.insert(len("type "), "😀 here")
    from_json(server, None, _between(after))
    for client in [*clients, *clients]:
        synced(server, client)
    first, *_, last = found = to_json(server, schema=TIPTAP)["content"]
    assert [inline_text(first), inline_text(last)] == ["type 😀 here.", "type 😀 here;"]
    assert [to_json(doc, schema=TIPTAP)["content"] for doc in docs] == [found] * 3


def _between(tree: Node) -> Node:
    """Return content with paragraphs around it in which others type."""
    first, last = (
        make_node("paragraph", {"textAlign": "right"}, [make_text(f"type {end}")]) for end in ".;"
    )
    return {"type": "doc", "content": [first, *tree["content"], last]}


@settings(max_examples=25)
@given(documents)
def test_html_is_what_a_cleaner_leaves(tree: Node) -> None:
    doc: Doc[Any] = Doc()
    from_json(doc, None, tree)
    html = to_html(doc)
    tags = {"label", "mark", "input", *nh3.ALLOWED_TAGS}
    attributes = {name: {*nh3.ALLOWED_ATTRIBUTES.get(name, ()), "style"} for name in tags}
    attributes["input"] |= {"type", "checked"}
    attributes["a"] |= {"target", "rel"}
    attributes["code"] |= {"class"}
    cleaned = nh3.clean(
        html,
        tags=tags,
        attributes=attributes,
        generic_attribute_prefixes={"data-"},
        link_rel=None,
    )
    assert cleaned.replace("\u00a0", "&nbsp;").replace('"', "") == html.replace('"', "")


@settings(max_examples=25)
@given(documents)
def test_html_says_all_that_the_editor_does_of_its_nodes(tree: Node) -> None:
    doc: Doc[Any] = Doc()
    from_json(doc, None, tree)
    other: Doc[Any] = Doc()
    from_html(other, None, to_html(doc))
    expected = [(node["type"], node.get("attrs")) for node in walk(tree) if node["type"] != "text"]
    found = to_json(other, schema=TIPTAP)
    assert [(n["type"], n.get("attrs")) for n in walk(found) if n["type"] != "text"] == expected


@settings(max_examples=25)
@given(documents)
def test_markdown_keeps_every_word(tree: Node) -> None:
    doc: Doc[Any] = Doc()
    from_json(doc, None, tree)
    found, dropped = read_markdown(to_markdown(doc), TIPTAP)
    assert not dropped
    assert _words(found) == _words(tree)


def _words(tree: Node) -> str:
    parts: list[str] = []
    for node in walk(tree):
        if node["type"] == "mention":
            parts.append("@Ann")
        elif node["type"] == "image":
            parts.append("A")
        else:
            parts.append(node.get("text", ""))
    return "".join("".join(parts).split()).replace("@Ann", "").replace("A", "")


def _prosemirror_schema() -> ProseMirrorSchema[Any, Any]:
    nodes: dict[str, Any] = {}
    for node in sorted(TIPTAP.nodes, key=lambda node: node.name != "doc"):
        attributes = {key: {"default": each.default} for key, each in node.attributes.items()}
        spec: dict[str, Any] = {"attrs": attributes, "inline": node.is_inline}
        spec |= {"content": node.content} if node.content else {}
        spec |= {"group": node.group} if node.group else {}
        spec |= {} if node.marks is None else {"marks": " ".join(node.marks)}
        nodes[node.name] = spec
    marks: dict[str, Any] = {
        mark.name: {
            "attrs": {key: {"default": each.default} for key, each in mark.attributes.items()},
            **({"excludes": "_"} if mark.excludes is None else {}),
        }
        for mark in TIPTAP.marks
    }
    return ProseMirrorSchema({"nodes": nodes, "marks": marks})


PROSEMIRROR = _prosemirror_schema()


@settings(max_examples=25)
@given(documents)
def test_content_from_html_and_markdown_fits_the_schema_of_the_editor(tree: Node) -> None:
    doc: Doc[Any] = Doc()
    from_json(doc, None, tree)
    for read, content in ((from_html, to_html(doc)), (from_markdown, to_markdown(doc))):
        other: Doc[Any] = Doc()
        from_json(other, None, {"type": "doc", "content": [{"type": "horizontalRule"}]})
        read(other, None, content)
        ProseMirrorNode.from_json(PROSEMIRROR, to_json(other, schema=TIPTAP)).check()
