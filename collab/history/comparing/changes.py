"""The parts of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["ChangeKind", "Comparison", "ContentChange", "Path", "Piece", "PieceKind"]

#: Where a block or a value is: an index or a key at each depth.
Path = Sequence[int | str]


class ChangeKind(StrEnum):
    """The ways in which a block or a value differs."""

    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    CHANGED = "changed"


class PieceKind(StrEnum):
    """The ways in which letters of a line differ; formatted ones are the same with other marks."""

    KEPT = "kept"
    ADDED = "added"
    REMOVED = "removed"
    FORMATTED = "formatted"


@dataclass(frozen=True, slots=True)
class Piece:
    """Letters of a line, or a node in it.

    Args:
        kind: added, removed, kept, or formatted.
        text: the letters; empty for a node.
        marks: marks or formats; of a removed piece, those that it had.
        old_marks: of a formatted piece, the marks before.
        node: the node, such as a mention.
        by: primary key of the user who wrote an added piece, as text, if known.
    """

    kind: PieceKind
    text: str
    marks: Sequence[Any] = ()
    old_marks: Sequence[Any] = ()
    node: Mapping[str, Any] | None = None
    by: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        found: dict[str, Any] = {"kind": self.kind.value, "text": self.text}
        found |= {"marks": [*self.marks]} if self.marks else {}
        found |= {"by": self.by} if self.kind == PieceKind.ADDED else {}
        if self.kind == PieceKind.FORMATTED:
            found["old_marks"] = [*self.old_marks]
        return found | ({"node": self.node} if self.node is not None else {})


@dataclass(frozen=True, slots=True)
class ContentChange:
    """A block or a value that was added, removed, moved or changed.

    Args:
        kind: the way in which it differs.
        root: the name of the root that it is in.
        old_path, new_path: where it was, and where it is; ``None`` where it is not.
        old_type, new_type: the types of the block; ``None`` for a value.
        pieces: the letters of a block, or of a value that is a text.
        attributes: values before and after of the attributes of a block that differ.
        old, new: a value before and after.
    """

    kind: ChangeKind
    root: str
    old_path: Path | None
    new_path: Path | None
    old_type: str | None = None
    new_type: str | None = None
    pieces: Sequence[Piece] = ()
    attributes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    old: Any = None
    new: Any = None

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "kind": self.kind.value,
            "root": self.root,
            "old_path": None if self.old_path is None else [*self.old_path],
            "new_path": None if self.new_path is None else [*self.new_path],
            "old_type": self.old_type,
            "new_type": self.new_type,
            "pieces": [piece.as_json() for piece in self.pieces],
            "attributes": {key: [*pair] for key, pair in self.attributes.items()},
            "old": self.old,
            "new": self.new,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of two states of a document.

    Args:
        changes: blocks and values that differ, in the order of the document.
        html: the later state with removed text, in ``<ins>`` and ``<del>``, which is safe to
            be put into a page.
        users: authors of added letters: those of the first are of the class ``author-0``, and so
            on; ``None`` is an unknown author.
    """

    changes: Sequence[ContentChange]
    html: str
    users: Sequence[str | None]

    @property
    def json(self) -> list[dict[str, Any]]:
        """The changes for JSON."""
        return [change.as_json() for change in self.changes]
