"""Renders a document's content for people and for other programs.

The bytes of a document do not have the types of its roots. They are inferred from the content.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast
from xml.sax.saxutils import escape, quoteattr

from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from .array_texts import without_array_texts
from .subdocuments import temporary_doc

__all__ = ["render_json", "render_text", "render_value", "root_type"]

#: Deeper values are left out, as Python's recursion is limited.
MAX_DEPTH = 100
OMITTED = "..."


def render_json(doc: Doc[Any]) -> dict[str, Any]:
    """Return the content of ``doc`` as values that ``json.dumps`` takes, by the name of its root.

    A text is a string, or a list of ``{"insert", "attributes"}`` if it is formatted. An XML
    element is ``{"tag", "attributes", "children"}``, an XML text with attributes
    ``{"attributes", "content"}``, an XML root the list of its nodes. Bytes are base64, an empty
    root is ``None``.
    """
    return {name: value for name, _, value in _roots(doc)}


def render_text(doc: Doc[Any]) -> str:
    """Return the content of ``doc`` as text: texts unformatted, XML as XML, the rest as JSON.

    If it has several roots, each has its name as a headline.
    """
    parts = {name: as_text(value) for name, as_text, value in _roots(doc)}
    if len(parts) == 1:
        return next(iter(parts.values()))
    return "\n\n".join(f"{name}\n{'-' * len(name)}\n{text}" for name, text in parts.items())


def _roots(doc: Doc[Any]) -> Iterator[tuple[str, Callable[[Any], str], Any]]:
    """Yield the name of each root, a function that renders it as text, and its JSON value."""
    # A copy, as reading a root as some type makes it one of that type.
    with temporary_doc() as copy:
        copy.apply_update(without_array_texts(doc.get_update()))
        for name in sorted(copy.keys()):
            yield name, *_root(copy, name)


def root_type(doc: Doc[Any], name: str) -> Text | XmlFragment | Array[Any] | Map[Any] | None:
    """Return a root of ``doc`` as the shared type that its content has; ``None`` if it is empty.

    Reading a root makes it one of that type, so ``doc`` must be a private copy.
    """
    # Text comes first: yrs never returns when an emoji of a text is asked for as items of an array.
    text: Text = doc.get(name, type=Text)
    # An array's own values are not among the chunks of a text, but shared types are.
    if any(isinstance(chunk, (str, dict)) for chunk, _ in text.diff()):
        return text
    array: Array[Any] = doc.get(name, type=Array)
    nodes = list(array)
    if nodes and all(isinstance(node, (XmlElement, XmlText)) for node in nodes):
        fragment: XmlFragment = doc.get(name, type=XmlFragment)
        return fragment
    if nodes:
        return array
    pairs: Map[Any] = doc.get(name, type=Map)
    return pairs if len(pairs) else None


def _root(doc: Doc[Any], name: str) -> tuple[Callable[[Any], str], Any]:
    match root_type(doc, name):
        case None:
            return _empty, None
        case Text() as text:
            return _plain, render_value(text)
        case XmlFragment() as fragment:
            return _xml_lines, [render_value(node) for node in fragment.children]
        case root:
            return _json, render_value(root)


def render_value(value: Any, depth: int = 0) -> Any:
    """Return a shared type, or a value in one, as values that ``json.dumps`` takes."""
    if depth > MAX_DEPTH:
        return OMITTED
    match value:
        case float():
            return _number(value)
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case dict() | Map():
            return {key: render_value(item, depth + 1) for key, item in sorted(value.items())}
        case list() | Array():
            return [render_value(item, depth + 1) for item in value]
        case Text():
            return _delta(value, depth)
        case XmlText():
            content, attributes = _delta(value, depth), _attributes(value, depth)
            return {"attributes": attributes, "content": content} if attributes else content
        case XmlElement():
            return {
                "tag": value.tag,
                "attributes": _attributes(value, depth),
                "children": [render_value(child, depth + 1) for child in value.children],
            }
        case XmlFragment():
            return [render_value(child, depth + 1) for child in value.children]
        case Doc():
            return {"guid": value.guid}
        case _:
            return value


def _attributes(node: XmlElement | XmlText, depth: int) -> Any:
    # pycrdt's annotation says that these cannot be iterated over.
    pairs = cast(Iterable[tuple[str, Any]], node.attributes)
    return {key: render_value(value, depth + 1) for key, value in sorted(pairs)}


def _number(value: float) -> float | int | None:
    # JavaScript knows one type of numbers, and JSON no other than the finite ones.
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def _delta(text: Text | XmlText, depth: int) -> Any:
    chunks = text.diff()
    if all(isinstance(chunk, str) and not attributes for chunk, attributes in chunks):
        return "".join(chunk for chunk, _ in chunks)
    return [
        {"insert": render_value(chunk, depth + 1)}
        | ({"attributes": render_value(attributes, depth + 1)} if attributes else {})
        for chunk, attributes in chunks
    ]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _empty(value: Any) -> str:
    return ""


def _plain(delta: Any) -> str:
    """Return the text of a value of :func:`_delta`."""
    if isinstance(delta, str):
        return delta
    inserts = (chunk["insert"] for chunk in delta)
    return "".join(insert if isinstance(insert, str) else _json(insert) for insert in inserts)


def _xml_lines(nodes: list[Any]) -> str:
    return "\n".join(map(_xml, nodes))


def _xml(node: Any) -> str:
    """Return the XML of a value of :func:`_value` that was an XML node, or was put into one."""
    match node:
        case str():
            return escape(node)
        case list():
            return "".join(_xml(chunk["insert"]) for chunk in node)
        case {"attributes": _, "content": content}:
            return _xml(content)
        case {"tag": tag, "attributes": attributes, "children": children}:
            start = "".join([tag, *(f" {key}={_quoted(attributes[key])}" for key in attributes)])
            content = "".join(map(_xml, children))
            return f"<{start}>{content}</{tag}>" if children else f"<{start}/>"
        case _:
            return escape(json.dumps(node, ensure_ascii=False))


def _quoted(value: Any) -> str:
    return quoteattr(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
