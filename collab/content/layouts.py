"""Layouts: how the editors of a kind keep content in a document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Any, ClassVar, NamedTuple

from pycrdt import Doc

from collab.exceptions import ContentError

from .schema import Schema
from .trees import JSON, Node

__all__ = ["BlockFacts", "Layout"]


class BlockFacts(NamedTuple):
    """What a block says of itself."""

    type: str
    id: str | None
    text: str


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

    @abstractmethod
    def change_lines(
        self, doc: Doc[Any], field: str, schema: Schema, change: Callable[[list[Node]], list[Node]]
    ) -> None:
        """Change lines of text: give each, as inline nodes, to a function and write what it
        returns."""

    #: The key of a block under which its own blocks are; ``None`` if content has no blocks.
    children_key: ClassVar[str | None] = None

    def wrap_blocks(self, blocks: list[JSON]) -> JSON:
        """Return the value whose blocks these are."""
        raise ContentError("This content is a text, not blocks: use find_text and replace_text.")

    def unwrap_blocks(self, value: JSON) -> list[JSON]:
        """Return the blocks at the top of a value."""
        raise ContentError("This content is a text, not blocks: use find_text and replace_text.")

    def describe_block(self, block: JSON) -> BlockFacts:
        """Return what a block says of itself."""
        raise ContentError("This content is a text, not blocks: use find_text and replace_text.")

    def anchors(self, doc: Doc[Any], field: str) -> dict[tuple[int, ...], Hashable]:
        """Return what stands for each block, by its path, while others edit the document."""
        return {}
