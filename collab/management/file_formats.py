"""Writes text and JSON into a document that no schema reads, the reverse of
``collab_storage.render``.

Text and JSON contain less than the document that they came from. An object that has the form of an
XML node or of formatted text becomes that. Other objects and lists become maps and arrays. A string
becomes a text as a root, and a plain value elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab import documents

__all__ = ["HISTORY_SUFFIX", "SUFFIXES", "clear", "fill", "has_content"]

#: The ending of the file with the versions and authors of a document.
HISTORY_SUFFIX = ".history.json"

#: The ending of files in each format.
SUFFIXES = {"html": ".html", "json": ".json", "markdown": ".md", "text": ".txt", "update": ".yjs"}

_ELEMENT = {"tag", "attributes", "children"}
_XML_TEXT = {"attributes", "content"}


def has_content(name: str, schema: str | None) -> bool:
    """Return whether a schema says how a document is read: one that is given, or its type's."""
    document_type = documents.type_of(name)
    return schema is not None or (document_type is not None and document_type.content is not None)


def clear(doc: Doc[Any]) -> None:
    """Delete all content of ``doc``."""
    with doc.transaction():
        # A root without a known type can be read as a sequence and as a map.
        for name in list(doc.keys()):
            text = doc.get(name, type=Text)
            # yrs never returns from deleting letters beyond ASCII as items of an array.
            is_text = any(isinstance(chunk, (str, dict)) for chunk, _ in text.diff())
            (text if is_text else doc.get(name, type=Array)).clear()
            doc.get(name, type=Map).clear()


def fill(doc: Doc[Any], content: Mapping[str, Any]) -> None:
    """Write ``content``, values by the name of their root, into ``doc``.

    Raises:
        ValueError: a root is neither a string, a list, an object nor null.
    """
    with doc.transaction():
        for name, value in content.items():
            _fill_root(doc, name, value)


def _fill_root(doc: Doc[Any], name: str, value: Any) -> None:
    match value:
        case None | "":
            pass
        case str():
            _write(doc.get(name, type=Text), [{"insert": value}])
        case Mapping():
            root = doc.get(name, type=Map)
            for key, item in value.items():
                root[key] = _shared(item)
        case list() if _is_xml(value):
            _append(doc.get(name, type=XmlFragment), value)
        case list() if _is_delta(value):
            _write(doc.get(name, type=Text), value)
        case list():
            doc.get(name, type=Array).extend([_shared(item) for item in value])
        case _:
            raise ValueError(f"The root {name!r} is neither a text, a list nor an object.")


def _shared(value: Any) -> Any:
    """Return ``value`` with shared types instead of objects and lists."""
    if isinstance(value, Mapping):
        return Map({key: _shared(item) for key, item in value.items()})
    if isinstance(value, list):
        return Array([_shared(item) for item in value])
    return value


def _is_xml(values: Sequence[Any]) -> bool:
    return any(map(_is_element, values)) and all(map(_is_node, values))


def _is_node(value: Any) -> bool:
    if _has_keys(value, _XML_TEXT):
        return isinstance(value["attributes"], Mapping) and _is_xml_text(value["content"])
    return _is_xml_text(value) or _is_element(value)


def _is_element(value: Any) -> bool:
    return (
        _has_keys(value, _ELEMENT)
        and isinstance(value["tag"], str)
        and isinstance(value["attributes"], Mapping)
        and isinstance(value["children"], list)
        and all(map(_is_node, value["children"]))
    )


def _is_xml_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and _is_delta(value))


def _is_delta(values: Sequence[Any]) -> bool:
    return bool(values) and all(map(_is_chunk, values))


def _is_chunk(value: Any) -> bool:
    return _has_keys(value, {"insert"}) or (
        _has_keys(value, {"insert", "attributes"}) and isinstance(value["attributes"], Mapping)
    )


def _has_keys(value: Any, keys: set[str]) -> bool:
    return isinstance(value, Mapping) and value.keys() == keys


def _append(parent: XmlFragment | XmlElement, nodes: Sequence[Any]) -> None:
    for node in nodes:
        if _has_keys(node, _ELEMENT):
            element = parent.children.append(XmlElement(node["tag"]))
            _set_attributes(element, node["attributes"])
            _append(element, node["children"])
        else:
            _append_text(parent, node)


def _append_text(parent: XmlFragment | XmlElement, node: Any) -> None:
    text = parent.children.append(XmlText(""))
    if isinstance(node, Mapping):
        _set_attributes(text, node["attributes"])
        node = node["content"]
    _write(text, [{"insert": node}] if isinstance(node, str) else node)


def _set_attributes(node: XmlElement | XmlText, attributes: Mapping[str, Any]) -> None:
    for key, value in attributes.items():
        node.attributes[key] = value


def _write(text: Text | XmlText, chunks: Sequence[Mapping[str, Any]]) -> None:
    for chunk in chunks:
        insert, attributes = chunk["insert"], chunk.get("attributes", {})
        if isinstance(insert, str):
            # Without attributes it would inherit those of the text before it.
            text.insert(len(text), insert, attributes)
        else:
            text.insert_embed(len(text), insert, attributes)
