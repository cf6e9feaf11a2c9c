"""Trees compared block by block: added, removed, moved, and changed ones.

Each node is looked at a limited number of times, so that the time grows with the document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from collab.content.differences.alignment import similarity, words
from collab.content.schema import Schema
from collab.content.trees import Node, children, is_text, json_key, walk
from collab.history.comparing.changes import ChangeKind, Path, Piece
from collab.history.comparing.lines import TextLine, compare_lines
from collab.history.comparing.matching import gaps, matched

__all__ = ["ComparedBlock", "compare_trees"]

#: Old blocks times new blocks up to which each is compared with each; beyond, with those near.
_ALL_COMPARED = 2_500
_NEAR = 16
#: Blocks that are less alike do not count as one changed block.
_MIN_LIKENESS = 0.5
#: At most this number of letters and nodes decide how alike two blocks are.
_SAMPLE, _SAMPLED_NODES = 2_000, 100


@dataclass(slots=True)
class ComparedBlock:
    """A block of either tree, or of both.

    Args:
        old, new: its nodes.
        old_path, new_path: where they are.
        kind: the way in which it differs; ``None`` if only blocks in it do, or nothing.
        pieces: the letters of a line that differs.
        blocks: the blocks in a block, some of which differ.
        partner: of a moved block that is removed here: where it is now.
    """

    old: Node | None
    new: Node | None
    old_path: Path
    new_path: Path
    kind: ChangeKind | None = None
    pieces: Sequence[Piece] = ()
    blocks: Sequence[ComparedBlock] = ()
    partner: ComparedBlock | None = None


def compare_trees(
    old: Node, new: Node, schema: Schema, authors: Mapping[int, Sequence[str | None]]
) -> list[ComparedBlock]:
    """Return the blocks of two trees, each removed one before its replacement.

    Args:
        old, new: the trees.
        schema: of their nodes.
        authors: the author of each letter of the text nodes of ``new``, by their ids.
    """
    return _Trees(old, new, schema, authors).compare()


class _Trees:
    """The comparison of two trees."""

    def __init__(
        self, old: Node, new: Node, schema: Schema, authors: Mapping[int, Sequence[str | None]]
    ) -> None:
        self._old, self._new = old, new
        self._schema = schema
        self._authors = authors
        #: Equal nodes have the same number.
        self._numbers: dict[Hashable, int] = {}
        #: The number of each node without its marks, by its id.
        self._keys: dict[int, int] = {}
        self._samples: dict[int, tuple[str, Counter[str]]] = {}
        self._removed: list[ComparedBlock] = []
        self._added: list[ComparedBlock] = []

    def compare(self) -> list[ComparedBlock]:
        """Return the blocks at the top."""
        self._number(self._old)
        self._number(self._new)
        blocks = self._blocks(children(self._old), children(self._new), (), ())
        self._find_moved()
        return blocks

    def _number(self, node: Node) -> int:
        inner = tuple(self._number(child) for child in children(node))
        attributes = dict(node.get("attrs") or {})
        if self._identity(node) is not None and node["type"] in self._schema.node_types:
            del attributes["id"]
        key = (node["type"], json_key(attributes), node.get("text"), inner)
        number = self._numbers.setdefault(key, len(self._numbers))
        self._keys[id(node)] = number
        if "marks" not in node:
            return number
        marked = (number, json_key(node["marks"]))
        return self._numbers.setdefault(marked, len(self._numbers))

    def _identity(self, node: Node) -> str | None:
        """Return the id of a block that has one."""
        known = self._schema.node_types.get(node["type"])
        if known is not None:
            own = known.attributes.get("id")
            if known.is_inline or (own is not None and not own.is_identity):
                return None
        found = (node.get("attrs") or {}).get("id")
        return found if isinstance(found, str) else None

    # Siblings.

    def _blocks(
        self, old: Sequence[Node], new: Sequence[Node], old_path: Path, new_path: Path
    ) -> list[ComparedBlock]:
        blocks: list[ComparedBlock] = []
        for i, j in self._paired(old, new):
            block = ComparedBlock(
                None if i is None else old[i],
                None if j is None else new[j],
                old_path if i is None else (*old_path, i),
                new_path if j is None else (*new_path, j),
            )
            self._judge(block)
            blocks.append(block)
        return blocks

    def _judge(self, block: ComparedBlock) -> None:
        if block.old is None:
            block.kind = ChangeKind.ADDED
            self._added.append(block)
        elif block.new is None:
            block.kind = ChangeKind.REMOVED
            self._removed.append(block)
        elif self._keys[id(block.old)] != self._keys[id(block.new)]:
            self._look_into(block, block.old, block.new)

    def _look_into(self, block: ComparedBlock, old: Node, new: Node) -> None:
        """Compare the content of a block that differs."""
        if old["type"] != new["type"] or old.get("attrs", {}) != new.get("attrs", {}):
            block.kind = ChangeKind.CHANGED
        if pieces := self._pieces(old, new):
            block.pieces = pieces
            block.kind = ChangeKind.CHANGED
        else:
            block.blocks = self._blocks(
                children(old), children(new), block.old_path, block.new_path
            )

    def _pieces(self, old: Node, new: Node) -> list[Piece]:
        """Return the letters of two lines; none of blocks that have others inside."""
        if not (self._is_line(old) and self._is_line(new)):
            return []
        lines = (TextLine(children(node), self._keys, self._authors) for node in (old, new))
        return compare_lines(*lines)

    def _is_line(self, node: Node) -> bool:
        inner = children(node)
        if not inner:
            return self._schema.holds_text(node["type"])
        return any(map(is_text, inner)) or all(map(self._schema.is_inline, inner))

    def _paired(
        self, old: Sequence[Node], new: Sequence[Node]
    ) -> Iterator[tuple[int | None, int | None]]:
        """Yield the indices of blocks that are the same one, and of those without a partner."""
        lasting = self._lasting(old, new)
        before, after = ([self._label(node, lasting) for node in nodes] for nodes in (old, new))
        pairs = matched(before, after)
        alone = {before[i] for olds, _ in gaps(pairs, len(old), len(new)) for i in olds}
        alone &= {after[j] for _, news in gaps(pairs, len(old), len(new)) for j in news}
        sentinel = [*pairs, (None, None)]
        for (olds, news), pair in zip(gaps(pairs, len(old), len(new)), sentinel, strict=True):
            # Blocks that are elsewhere on the other side have moved.
            left = [i for i in olds if before[i] not in alone]
            right = [j for j in news if after[j] not in alone]
            alike = dict(self._alike(old, new, left, right))
            yield from _in_order(olds, news, alike)
            if pair[0] is not None:
                yield pair

    def _lasting(self, old: Sequence[Node], new: Sequence[Node]) -> set[str]:
        """Return the ids that one block on each side has."""
        counts = [Counter(filter(None, map(self._identity, nodes))) for nodes in (old, new)]
        return {key for key, count in counts[0].items() if count == 1 == counts[1][key]}

    def _label(self, node: Node, lasting: set[str]) -> Hashable:
        identity = self._identity(node)
        return identity if identity in lasting else self._keys[id(node)]

    def _alike(
        self, old: Sequence[Node], new: Sequence[Node], left: Sequence[int], right: Sequence[int]
    ) -> Iterator[tuple[int, int]]:
        """Yield pairs of blocks that are like each other."""
        if len(left) == len(right) == 1 and self._fit(old[left[0]], new[right[0]]):
            yield left[0], right[0]
            return
        window = max(_NEAR, _ALL_COMPARED // max(1, len(left)))
        start = 0
        for i in left:
            best, place = _MIN_LIKENESS, None
            for k in range(start, min(len(right), start + window)):
                likeness = self._likeness(old[i], new[right[k]])
                if likeness > best or (place is None and likeness == best):
                    best, place = likeness, k
            if place is not None:
                yield i, right[place]
                start = place + 1

    def _fit(self, old: Node, new: Node) -> bool:
        """Return whether a block can be changed into another."""
        if self._is_line(old) or self._is_line(new):
            return self._is_line(old) and self._is_line(new)
        return bool(old["type"] == new["type"]) or bool(children(old) and children(new))

    def _likeness(self, old: Node, new: Node) -> float:
        """Return how like each other two blocks are, from 0 to 1."""
        if not self._fit(old, new):
            return 0.0
        (text, known), (other, others) = self._sample(old), self._sample(new)
        if not known and not others:
            return _MIN_LIKENESS if old["type"] == new["type"] and text == other else 0.0
        return similarity(known, others)

    def _sample(self, node: Node) -> tuple[str, Counter[str]]:
        if id(node) not in self._samples:
            inner = islice(walk(node), _SAMPLED_NODES)
            parts = (part["text"][:_SAMPLE] for part in inner if is_text(part))
            text = " ".join(parts)[:_SAMPLE]
            self._samples[id(node)] = text, words(text)
        return self._samples[id(node)]

    # Moved blocks.

    def _find_moved(self) -> None:
        """Join blocks that are removed in one place and added in another."""
        removed = self._by_label(self._removed)
        for label, block in self._by_label(self._added).items():
            origin = removed.get(label)
            if origin is not None and origin.old is not None and block.new is not None:
                origin.kind = block.kind = ChangeKind.MOVED
                origin.partner = block
                block.old, block.old_path = origin.old, origin.old_path
                if self._keys[id(block.old)] != self._keys[id(block.new)]:
                    block.pieces = self._pieces(block.old, block.new)

    def _by_label(self, blocks: Sequence[ComparedBlock]) -> dict[Hashable, ComparedBlock]:
        """Return blocks by id, or by content if they have letters; those of their own."""
        labelled = [(self._moving_label(block.old or block.new or {}), block) for block in blocks]
        counts = Counter(label for label, _ in labelled)
        return {label: block for label, block in labelled if label and counts[label] == 1}

    def _moving_label(self, node: Node) -> Hashable:
        identity = self._identity(node)
        if identity is not None:
            return identity
        return (self._keys[id(node)],) if self._sample(node)[1] else None


def _in_order(
    olds: range, news: range, alike: Mapping[int, int]
) -> Iterator[tuple[int | None, int | None]]:
    """Yield pairs in the order of both, and before each those without a partner."""
    j = news.start
    for i in olds:
        if i not in alike:
            yield i, None
            continue
        yield from ((None, k) for k in range(j, alike[i]))
        yield i, alike[i]
        j = alike[i] + 1
    yield from ((None, k) for k in range(j, news.stop))
