"""Texts among the items of arrays, which only updates made by hand have.

Each half of a letter is an item of the array in Yjs. pycrdt counts bytes there, and never returns
from reading the array, so that a document is read without such texts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from .structs import DELETED, KIND, SHARED_TYPE, STRING, Id, Struct, read_structs
from .updates import read_varuint, varuint

__all__ = ["without_array_texts"]

#: The number of the shared type of an array.
_ARRAY = 0


def without_array_texts(update: bytes) -> bytes:
    """Return the update of a document with the texts in its arrays deleted.

    If it is not valid, it is returned as it is.
    """
    try:
        structs = list(read_structs(update))
    except (ValueError, LookupError):
        return update
    arrays = {
        (struct.client, struct.clock)
        for struct in structs
        if struct.kind == SHARED_TYPE and read_varuint(update, struct.content)[0] == _ARRAY
    }
    if not arrays:
        return update
    parents = _Parents(structs)
    parts, done = [], 0
    for struct in structs:
        if struct.kind == STRING and parents.of(struct) in arrays:
            info = update[struct.start] & ~KIND | DELETED
            parts += [update[done : struct.start], bytes([info])]
            parts += [update[struct.start + 1 : struct.content], varuint(struct.length)]
            done = struct.end
    return b"".join([*parts, update[done:]])


class _Parents:
    """The shared types that structs are in."""

    def __init__(self, structs: Iterable[Struct]) -> None:
        self._structs: dict[int, list[Struct]] = {}
        for struct in sorted(structs, key=lambda each: each.clock):
            self._structs.setdefault(struct.client, []).append(struct)
        #: By the id of a struct.
        self._known: dict[Id, Id | None] = {}

    def of(self, struct: Struct | None) -> Id | None:
        """Return the insertion of the shared type that a struct is in; ``None`` for a root."""
        passed: list[Id] = []
        parent: Id | None = None
        while struct is not None:
            key = struct.client, struct.clock
            if key in self._known:
                parent = self._known[key]
                break
            # In updates that are not valid, structs are beside each other in a circle.
            self._known[key] = parent = struct.parent
            passed.append(key)
            struct = self._find(struct.left or struct.right)
        self._known |= dict.fromkeys(passed, parent)
        return parent

    def _find(self, wanted: Id | None) -> Struct | None:
        """Return the struct of an insertion, if it is known."""
        if wanted is None:
            return None
        structs = self._structs.get(wanted[0], [])
        index = bisect_right(structs, wanted[1], key=lambda each: each.clock) - 1
        return structs[index] if index >= 0 else None
