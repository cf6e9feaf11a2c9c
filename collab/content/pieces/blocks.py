"""Single blocks of a document: found, read, replaced, inserted and removed.

A block stays the same one while others edit the document: a block with an id is found again by
that, another by its shared type.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, overload

from pycrdt import Doc

from collab.content.editors.tiptap import TIPTAP
from collab.content.report import Report
from collab.content.schema import Schema
from collab.content.trees import JSON
from collab.content.writing import Format, merge_value, write_tree
from collab.exceptions import ContentError

__all__ = ["Block", "Blocks", "blocks"]

Path = tuple[int, ...]


def blocks(doc: Doc[Any], field: str | None = None, schema: Schema = TIPTAP) -> Blocks:
    """Return the blocks of a document.

    Args:
        doc: the document; edits of blocks change it.
        field: the name of the root; by default the schema's.
        schema: of the editor.
    """
    return Blocks(doc, field or schema.field, schema)


class Blocks(Sequence["Block"]):
    """The blocks of a document: a sequence of those at the top."""

    def __init__(self, doc: Doc[Any], field: str, schema: Schema) -> None:
        self._doc = doc
        self._field = field
        self._schema = schema
        self._layout = schema.layout

    def __len__(self) -> int:
        return len(self._layout.unwrap_blocks(self._value()))

    @overload
    def __getitem__(self, index: int) -> Block: ...
    @overload
    def __getitem__(self, index: slice) -> list[Block]: ...
    def __getitem__(self, index: int | slice) -> Block | list[Block]:
        found = [block for block in self._walk() if len(block.path) == 1]
        return found[index]

    def find(
        self, *, id: str | None = None, type: str | None = None, text: str | None = None
    ) -> list[Block]:
        """Return the blocks, at any depth, that have this id and type and hold this text."""
        return [
            block
            for block in self._walk()
            if id in (None, block.id) and type in (None, block.type) and (text or "") in block.text
        ]

    def at(self, path: Sequence[int]) -> Block:
        """Return the block at a path: an index at each depth."""
        for block in self._walk():
            if block.path == tuple(path):
                return block
        raise ContentError(f"There is no block at {tuple(path)!r}.")

    def append(self, content: JSON, format: Format = "json") -> Report:
        """Add blocks at the end, given as JSON, HTML, Markdown or text."""
        return self._splice((len(self),), 0, content, format)

    def insert(self, index: int, content: JSON, format: Format = "json") -> Report:
        """Add blocks before the block of that index at the top."""
        return self._splice((index,), 0, content, format)

    # For blocks.

    def _value(self) -> JSON:
        return self._layout.read(self._doc, self._field, self._schema)

    def _walk(self) -> Iterator[Block]:
        anchors = self._layout.anchors(self._doc, self._field, self._schema)
        top = enumerate(self._layout.unwrap_blocks(self._value()))
        pending: list[tuple[Path, JSON]] = [((index,), json) for index, json in top]
        while pending:
            path, json = pending.pop(0)
            if json["type"] == "text":
                continue
            yield Block(self, path, json, anchors.get(path))
            below = enumerate(json.get(self._layout.children_key) or ())
            pending[:0] = [((*path, index), inner) for index, inner in below]

    def _splice(self, path: Path, count: int, content: JSON, format: Format) -> Report:
        """Put content in the place of ``count`` blocks from a path on."""
        with self._doc.transaction():
            value = self._value()
            siblings = self._siblings(value, path[:-1])
            replaced = siblings[path[-1] : path[-1] + count]
            new, report = self._blocks_of(content, format, replaced)
            siblings[path[-1] : path[-1] + count] = new
            self._layout.write(self._doc, self._field, value, self._schema)
        return report

    def _siblings(self, value: JSON, path: Path) -> list[JSON]:
        siblings = self._layout.unwrap_blocks(value)
        for index in path:
            parent = siblings[index]
            siblings = parent.setdefault(self._layout.children_key, [])
        return siblings

    def _blocks_of(
        self, content: JSON, format: Format, replaced: list[JSON]
    ) -> tuple[list[JSON], Report]:
        if format == "json":
            return (content if isinstance(content, list) else [content]), Report()
        old = self._layout.wrap_blocks(replaced)
        new, report = merge_value(old, content, self._schema, format)
        return list(self._layout.unwrap_blocks(new)), report


class Block:
    """A block of a document.

    Args:
        blocks: all of the document.
        path: where it is: an index at each depth.
        json: its content.
        anchor: its place, also while others edit the document.
    """

    def __init__(self, blocks: Blocks, path: Path, json: JSON, anchor: Hashable) -> None:
        self._blocks = blocks
        self.path = path
        self.json = json
        self._anchor = anchor
        facts = blocks._layout.describe_block(json)
        self.type, self.id, self.text = facts

    def __repr__(self) -> str:
        return f"<Block {self.type} at {self.path}: {self.text[:40]!r}>"

    def render(self, format: Format) -> str:
        """Return the block as HTML, Markdown or text."""
        layout, schema = self._blocks._layout, self._blocks._schema
        tree = layout.to_tree(layout.wrap_blocks([self.json]), schema)
        return write_tree(tree, format, layout.tree_schema(schema))

    def replace(self, content: JSON, format: Format = "json") -> Report:
        """Put other content in its place; parts of it that the format lacks stay."""
        return self._blocks._splice(self._current_path(), 1, content, format)

    def insert_before(self, content: JSON, format: Format = "json") -> Report:
        """Add blocks before it."""
        return self._blocks._splice(self._current_path(), 0, content, format)

    def insert_after(self, content: JSON, format: Format = "json") -> Report:
        """Add blocks after it."""
        path = self._current_path()
        return self._blocks._splice((*path[:-1], path[-1] + 1), 0, content, format)

    def remove(self) -> None:
        """Delete it."""
        self._blocks._splice(self._current_path(), 1, [], "json")

    def _current_path(self) -> Path:
        """Return where the block is now.

        Raises:
            ContentError: it has been deleted.
        """
        if self.id is not None:
            found = self._blocks.find(id=self.id)
            path = found[0].path if found else None
        else:
            blocks = self._blocks
            anchors = blocks._layout.anchors(blocks._doc, blocks._field, blocks._schema)
            path = next((path for path, each in anchors.items() if each == self._anchor), None)
        if path is None:
            raise ContentError(f"The block {self.text[:40]!r} is no longer in the document.")
        self.path = path
        return path
