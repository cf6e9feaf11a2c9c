"""Documents whose history the tests make."""

from __future__ import annotations

from typing import Any

from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab import documents
from collab_storage.render import render_json

__all__ = ["changed", "content_of", "fill", "letters", "write"]


def letters(doc: Doc[Any]) -> str:
    """Return the text of a document."""
    return str(doc.get("text", type=Text))


def write(name: str, text: str, user: object = None) -> None:
    """Append to the text of a document."""
    with documents.edit(name, user=user) as doc:
        root = doc.get("text", type=Text)
        root.insert(len(root), text)


def fill(doc: Doc[Any]) -> None:
    """Put one of everything into a document."""
    doc.get("text", type=Text).insert(0, "Hello World")
    doc.get("text", type=Text).format(0, 5, {"bold": True})
    doc.get("map", type=Map).update({"a": 1, "deep": Map({"text": Text("deep")})})
    doc.get("array", type=Array).extend([1, 2, Map({"x": 1})])
    paragraph = XmlElement("p", {"align": "left"})
    doc.get("xml", type=XmlFragment).children.append(paragraph)
    paragraph.children.append(XmlText("paragraph"))


def changed(doc: Doc[Any]) -> None:
    """Change all of it."""
    text = doc.get("text", type=Text)
    del text[2:7]
    text.format(0, 3, {"italic": True})
    map_, array = doc.get("map", type=Map), doc.get("array", type=Array)
    map_["a"], map_["new"] = 2, [3]
    del map_["deep"]
    del array[0:3]
    array.append("other")
    children = doc.get("xml", type=XmlFragment).children
    children[0].attributes["align"] = "right"
    del children[0]
    children.append(XmlElement("hr"))
    doc.get("later", type=Map)["root"] = "new"


def content_of(doc: Doc[Any]) -> dict[str, Any]:
    """Return the content of all roots; those without any are left out, as they are nothing."""
    return {root: value for root, value in render_json(doc).items() if value}
