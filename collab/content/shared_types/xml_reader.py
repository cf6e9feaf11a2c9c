"""Trees from shared XML, as the ProseMirror editors lay out their content.

A node is an XML element, the texts between two elements are one XML text, and marks are its
formatting. The result without a schema equals y-prosemirror's for the same document, with
one a ProseMirror editor's own JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from collab.content.schema import Schema
from collab.content.trees import (
    MAX_DEPTH,
    Node,
    document,
    make_node,
    make_text,
)
from collab.exceptions import ContentError

from .mark_keys import mark_name
from .text_changes import Chunk, read_delta
from .values import plain

__all__ = [
    "NOT_CONTENT",
    "attributes",
    "node_name",
    "read_texts",
    "read_xml",
]

#: Marks that editors use in their views only.
NOT_CONTENT = {"ychange"}


def read_xml(doc: Doc[Any], field: str, schema: Schema | None = None) -> Node:
    """Return the tree of a root.

    Args:
        doc: the document.
        field: the name of the root.
        schema: completes attributes with defaults and orders marks.

    Raises:
        ContentError: nodes are nested too deeply.
    """
    root = doc.get(field, type=XmlFragment)
    with doc.transaction():
        if schema is None:
            # As y-prosemirror does: a text at the top, which no editor writes, is a list.
            return document([cast(Node, _raw(child, 1)) for child in root.children])
        return document(schema.complete(_flat(root.children, 1)))


def _raw(child: Any, depth: int) -> Node | list[Node]:
    return read_texts(child) if isinstance(child, XmlText) else _element(child, depth)


def _flat(nodes: Iterable[Any], depth: int) -> Iterator[Node]:
    for child in nodes:
        if isinstance(child, XmlText):
            yield from read_texts(child)
        else:
            yield _element(child, depth)


def _element(element: XmlElement | XmlFragment, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise ContentError(f"The document has more than {MAX_DEPTH} nodes inside each other.")
    inner = list(_flat(element.children, depth + 1))
    return make_node(node_name(element), attributes(element), inner)


def node_name(element: XmlElement | XmlFragment) -> str:
    """Return the name of an element.

    One that no editor writes, without a name or with that of texts, is a fragment.
    """
    name = element.tag if isinstance(element, XmlElement) else None
    return "fragment" if name in (None, "", "text") else name


def attributes(element: XmlElement | XmlFragment | XmlText) -> dict[str, Any]:
    """Return the attributes of an element or a text; editors do not store such that are null."""
    if isinstance(element, XmlFragment):
        return {}
    # pycrdt's annotation says that these cannot be iterated over.
    pairs = cast(Iterable[tuple[str, Any]], element.attributes)
    return {key: plain(value) for key, value in sorted(pairs) if value is not None}


def read_texts(text: XmlText) -> list[Node]:
    """Return the nodes of a text."""
    return [_node(chunk) for chunk in read_delta(text)]


def _node(chunk: Chunk) -> Node:
    if not isinstance(chunk.value, str):
        return make_node("embed", {"value": chunk.value})
    marks = [
        {"type": mark_name(key), "attrs": given}
        for key, given in chunk.formatting.items()
        if given is not None and key not in NOT_CONTENT
    ]
    return make_text(chunk.value, marks)
