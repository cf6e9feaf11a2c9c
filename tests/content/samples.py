"""Trees, and documents of trees, for tests."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from collab.content.trees import Node

__all__ = ["block", "doc_of", "li", "mark", "p", "raw_doc", "text"]


def text(letters: str, *marks: str | dict[str, Any]) -> Node:
    """Return a text node; marks without attributes are names."""
    node: Node = {"type": "text", "text": letters}
    if marks:
        node["marks"] = [mark(each) if isinstance(each, str) else each for each in marks]
    return node


def mark(name: str, **attributes: Any) -> Node:
    """Return a mark."""
    return {"type": name, "attrs": attributes} if attributes else {"type": name}


def block(name: str, *content: Node | str, **attributes: Any) -> Node:
    """Return a node; strings are texts."""
    node: Node = {"type": name}
    if attributes:
        node["attrs"] = attributes
    if content:
        node["content"] = [text(part) if isinstance(part, str) else part for part in content]
    return node


def p(*content: Node | str) -> Node:
    """Return a paragraph."""
    return block("paragraph", *content)


def li(*content: Node | str) -> Node:
    """Return an item of a list; strings are paragraphs."""
    return block("listItem", *[p(part) if isinstance(part, str) else part for part in content])


def doc_of(*content: Node) -> Node:
    """Return the node at the top."""
    return {"type": "doc", "content": list(content)}


def raw_doc(*nodes: Node, field: str = "default") -> Doc[Any]:
    """Return a document with the nodes as they are, without a schema."""
    doc: Doc[Any] = Doc()
    root = doc.get(field, type=XmlFragment)
    for node in nodes:
        _append(root, node)
    return doc


def _append(parent: XmlFragment | XmlElement, node: Node) -> None:
    if node["type"] == "text":
        formatting = {each["type"]: each.get("attrs", {}) for each in node.get("marks", ())}
        last = parent.children[len(parent.children) - 1] if len(parent.children) else None
        target = last if isinstance(last, XmlText) else parent.children.append(XmlText())
        target.insert(len(target), node["text"], formatting)
        return
    element = parent.children.append(XmlElement(node["type"]))
    for key, value in node.get("attrs", {}).items():
        element.attributes[key] = value
    for child in node.get("content", ()):
        _append(element, child)
