"""Which updates a Doc cannot hold yet.

A Doc keeps an update that builds upon others which have not arrived, but does not encode all of
it: ``Doc.get_update()`` leaves out deletions of what is not there yet. Whoever throws an update
away because a Doc has it must ask first whether the Doc has all of it.
"""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, get_update

__all__ = ["is_pending"]


def is_pending(doc: Doc[Any], update: bytes) -> bool:
    """Tell whether ``update``, applied to ``doc``, waits there for others in part.

    Yjs updates are a list of insertions and one of deletions, a count before each, see
    ``encodeStateAsUpdate`` in Yjs and ``DeleteSet`` in its internals.
    """
    state = doc.get_state()
    missing = get_update(update, state)
    if missing[0] != 0:
        return True
    # No insertions are missing, so what remains behind their count is the deletions.
    clocks = _clocks(state)
    return any(end > clocks.get(client, 0) for client, end in _deletions(missing[1:]))


def _clocks(state: bytes) -> dict[int, int]:
    numbers = _varuints(state)
    return dict(zip(numbers[1::2], numbers[2::2], strict=True))


def _deletions(delete_set: bytes) -> list[tuple[int, int]]:
    """Return client and end clock of each deleted range."""
    numbers = iter(_varuints(delete_set))
    ends = []
    for _ in range(next(numbers)):
        client, ranges = next(numbers), next(numbers)
        ends += [(client, next(numbers) + next(numbers)) for _ in range(ranges)]
    return ends


def _varuints(data: bytes) -> list[int]:
    numbers, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    return numbers
