"""The changes that a comparison of trees has found, as a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from collab.content.trees import Node, children, is_text, walk
from collab.history.comparing.blocks import ComparedBlock
from collab.history.comparing.changes import ChangeKind, ContentChange, Piece, PieceKind
from collab.history.comparing.lines import TextLine, pieces_of

__all__ = ["list_changes"]

Authors = Mapping[int, Sequence[str | None]]

_PIECES = {
    ChangeKind.ADDED: PieceKind.ADDED,
    ChangeKind.REMOVED: PieceKind.REMOVED,
    ChangeKind.MOVED: PieceKind.KEPT,
}


def list_changes(
    blocks: Sequence[ComparedBlock], root: str, authors: Authors
) -> Iterator[ContentChange]:
    """Yield the changes of blocks and of the blocks in them.

    Args:
        blocks: found by a comparison.
        root: the name of the root that they are in.
        authors: the author of each letter of new text nodes, by their ids.
    """
    for block in blocks:
        if block.kind is not None and block.partner is None:
            yield _change(block, block.kind, root, authors)
        yield from list_changes(block.blocks, root, authors)


def _change(block: ComparedBlock, kind: ChangeKind, root: str, authors: Authors) -> ContentChange:
    old, new = block.old, block.new
    before, after = (dict((node or {}).get("attrs") or {}) for node in (old, new))
    both = old is not None and new is not None
    differing = [k for k in {**before, **after} if before.get(k) != after.get(k)] if both else []
    return ContentChange(
        kind=kind,
        root=root,
        old_path=None if old is None else block.old_path,
        new_path=None if new is None else block.new_path,
        old_type=None if old is None else old["type"],
        new_type=None if new is None else new["type"],
        pieces=block.pieces or _whole(new or old or {}, kind, authors),
        attributes={key: (before.get(key), after.get(key)) for key in sorted(differing)},
    )


def _whole(node: Node, kind: ChangeKind, authors: Authors) -> list[Piece]:
    """Return the letters of a block that is added, removed or moved as a whole."""
    if kind not in _PIECES:
        return []
    pieces: list[Piece] = []
    for line in (inner for inner in walk(node) if any(map(is_text, children(inner)))):
        if pieces:
            pieces.append(Piece(_PIECES[kind], "\n"))
        pieces += pieces_of(TextLine(children(line), None, authors), _PIECES[kind])
    return pieces
