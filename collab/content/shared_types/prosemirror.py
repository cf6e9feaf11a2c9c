"""The layout of ProseMirror editors: an XML element for each node."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc

from collab.content.layouts import Layout
from collab.content.schema import Schema
from collab.content.trees import JSON, Node

from .xml_reader import read_xml
from .xml_writer import write_xml

__all__ = ["ProseMirrorLayout"]


class ProseMirrorLayout(Layout):
    """Content whose value is its tree."""

    def read(self, doc: Doc[Any], field: str, schema: Schema) -> JSON:
        return read_xml(doc, field, schema)

    def to_tree(self, value: JSON, schema: Schema) -> Node:
        tree: Node = value
        return tree

    def from_tree(self, tree: Node, schema: Schema) -> JSON:
        return tree

    def write(self, doc: Doc[Any], field: str, value: JSON, schema: Schema) -> None:
        write_xml(doc, field, value, schema)
