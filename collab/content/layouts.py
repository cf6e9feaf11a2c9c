"""Layouts: how the editors of a kind keep content in a document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from pycrdt import Doc

from .schema import Schema
from .trees import JSON, Node

__all__ = ["Layout"]


class Layout(ABC):
    """How content lies in a document.

    The *value* of a content is what the editor itself calls its JSON: ProseMirror's tree,
    BlockNote's blocks, Quill's delta, a string. A *tree* is the same in the nodes and marks of
    ``tree_schema``, of which all other formats are written.
    """

    #: The format of the value, if that is a string that needs no conversion.
    native: ClassVar[str | None] = None

    def tree_schema(self, schema: Schema) -> Schema:
        """Return the schema of the trees that :meth:`to_tree` returns."""
        return schema

    @abstractmethod
    def read(self, doc: Doc[Any], field: str, schema: Schema) -> JSON:
        """Return the value of a root."""

    @abstractmethod
    def to_tree(self, value: JSON, schema: Schema) -> Node:
        """Return the tree of a value."""

    @abstractmethod
    def from_tree(self, tree: Node, schema: Schema) -> JSON:
        """Return the value of a tree."""

    @abstractmethod
    def write(self, doc: Doc[Any], field: str, value: JSON, schema: Schema) -> None:
        """Give a root a value, with the smallest edit.

        Raises:
            InvalidContent: the value does not fit the schema. Nothing is changed.
        """
