"""Marks and inline nodes that a format cannot say, carried over by letters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collab.content.schema import Schema
from collab.content.trees import Node, is_text, join_texts, split_letters

from .letters import StandIns, spans

__all__ = ["carry_inline"]


def carry_inline(
    old: Sequence[Node], seen: Sequence[Node], new: Sequence[Node], schema: Schema
) -> list[Node]:
    """Return the text ``new`` with the parts of ``old`` that its format lacks.

    Args:
        old: the text before.
        seen: the same as its writer saw it.
        new: the text as it should be.
        schema: of all.
    """
    stand_ins = StandIns(node["text"] for node in (*old, *seen, *new) if is_text(node))
    before, view, after = map(split_letters, (old, seen, new))
    signs = ["".join(_sign(node, stand_ins) for node in part) for part in (before, view, after)]
    kept = _places_kept(signs[1], signs[2])
    lead: list[Node] = []
    #: The nodes in the place of each new letter.
    slots = [[node] for node in after]
    for start, end, view_start, view_end in _segments(signs[0], signs[1]):
        places = [kept.get(index) for index in range(view_start, view_end)]
        if signs[0][start:end] == signs[1][view_start:view_end]:
            for index, place in enumerate(places):
                if place is not None:
                    nodes = before[start + index], view[view_start + index], after[place]
                    slots[place] = [_merge_marks(*nodes, schema)]
        elif places:
            _restore(slots, places, before[start:end])
        else:
            target = _slot_before(slots, lead, kept, view_start, len(view))
            target += before[start:end]
    return join_texts([*lead, *(node for slot in slots for node in slot)])


def _sign(node: Node, stand_ins: StandIns) -> str:
    if is_text(node):
        return str(node["text"])
    return stand_ins.of({key: value for key, value in node.items() if key != "marks"})


def _places_kept(view: str, after: str) -> dict[int, int]:
    """Return where letters that were seen and stay are in the new text."""
    return {
        span.start + k: span.new_start + k
        for span in spans(view, after)
        if span.new_start < span.new_end
        for k in range(span.end - span.start)
    }


def _segments(before: str, view: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield parts of the old text, each with its view: the same, or something else."""
    i = j = 0
    for span in [*spans(before, view), None]:
        if span is not None and not (span.start < span.end and span.new_start < span.new_end):
            continue
        start, view_start = (span.start, span.new_start) if span else (len(before), len(view))
        if i < start or j < view_start:
            yield i, start, j, view_start
        if span is not None:
            yield span
            i, j = span.end, span.new_end


def _restore(slots: list[list[Node]], places: Sequence[int | None], nodes: Sequence[Node]) -> None:
    """Put back parts that were seen as something else, if that stays as a whole."""
    known = [place for place in places if place is not None]
    if len(known) == len(places) and known[-1] - known[0] == len(known) - 1:
        for place in known:
            slots[place] = []
        slots[known[0]] = list(nodes)


def _slot_before(
    slots: list[list[Node]], lead: list[Node], kept: dict[int, int], index: int, length: int
) -> list[Node]:
    """Return the place of a part that was not seen; it goes if the letters beside it did."""
    left, right = kept.get(index - 1), kept.get(index)
    goes = (index > 0 and left is None) or (index < length and right is None)
    if goes or (left is not None and right is not None and right != left + 1):
        return []
    return lead if left is None else slots[left]


def _merge_marks(old: Node, seen: Node, new: Node, schema: Schema) -> Node:
    """Return a letter with its old marks, as far as the writer saw none or left those it saw."""
    view, after = seen.get("marks", []), new.get("marks", [])
    gone = {mark["type"] for mark in view if mark not in after}
    came = [mark for mark in after if mark not in view]
    changed = gone | {mark["type"] for mark in came}
    marks = [mark for mark in old.get("marks", []) if mark["type"] not in changed]
    bare = {key: value for key, value in old.items() if key != "marks"}
    merged = schema.sort_marks([*marks, *came])
    return bare | {"marks": merged} if merged else bare
