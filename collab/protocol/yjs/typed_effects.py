"""Finds typed text whose effect on a document is the text itself, so that none is computed.

If it continues a row of letters, it can also wait: a row is applied in the same time as a letter.

pycrdt takes half as long to compute the effect of a letter as to apply it. The effect of text
behind everything else of its type is always the text. Text between two things may have another one:
if these are not of the same type, such as a letter and an entry of a map, pycrdt deletes one of
them, or the text, and Yjs does not. No editor sends that.

A letter that continues another one is in the same type, before the same thing. If the one before
had no other effect, and was there when that was computed for a third, none of them is an entry of
a map, and nothing can be deleted for the next one. The source is ``integrate_item`` of pycrdt's
library, in yrs/src/block.rs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from collab_storage.updates import TypedRun, TypedText

__all__ = ["FEW_TEXTS", "TypedEffects", "are_ascii"]

#: Texts whose effects are computed after anything else. Two show that a third has no other effect
#: than itself; and to begin and to end observing takes as long as to observe one.
FEW_TEXTS: Final = 2
#: The length of a text that waits, in clocks, from which on it waits for no more.
_LONG_ENOUGH: Final = 100


class TypedEffects:
    """The effects of the texts that were typed since anything else was changed.

    Attributes:
        texts: their number, of those with known effects.
        waiting: the last of them, if they were not applied yet.
    """

    __slots__ = ("_last", "_row", "texts", "waiting")

    def __init__(self) -> None:
        self.texts = 0
        self.waiting: TypedRun | None = None
        #: The number of the last ones of which each continues the one before.
        self._row = 0
        self._last: TypedText | None = None

    def forget(self) -> None:
        """Begin anew: anything else was changed."""
        self.texts = self._row = 0
        self._last = None

    def doubt(self) -> None:
        """Know nothing of a text that continues the last one: that had another effect."""
        self._last = None

    def are_known(self, parts: Sequence[TypedText | None]) -> bool:
        """Return whether an update is its own effect; call it for each, as it is applied.

        Args:
            parts: of which it was merged, each read as typed text, or ``None``.
        """
        is_behind = is_continued = True
        last = self._last
        for part in parts:
            if part is None:
                self.forget()
                return False
            is_behind = is_behind and part.right is None
            is_continued = (
                is_continued
                and last is not None
                and part.continues(last.client, last.end, last.right)
            )
            last = part
        self._last = last
        if is_continued:
            self._row += 1
        else:
            # A whole batch may have begun in several places.
            self._row = 1 if len(parts) == 1 else 0
        self.texts = self.texts + 1 if is_behind or is_continued else self._row
        return is_behind or self._row > FEW_TEXTS

    def wait(self, parts: Sequence[TypedText | None]) -> bool:
        """Keep an update of a known effect waiting if it continues a row; return whether it waits.

        Apply what waits before anything else.
        """
        waiting = self.waiting
        if self._row <= FEW_TEXTS or (waiting is not None and waiting.length >= _LONG_ENOUGH):
            return False
        for part in parts:
            assert part is not None
            if waiting is None:
                waiting = self.waiting = TypedRun(part)
            else:
                waiting.take(part)
        return True

    def take_waiting(self) -> bytes:
        """Return the update that waits, and forget it."""
        assert self.waiting is not None
        waiting, self.waiting = self.waiting, None
        return waiting.joined()


def are_ascii(parts: Sequence[TypedText | None]) -> bool:
    """Return whether all parts of an update are typed text of ASCII letters."""
    for part in parts:  # noqa: SIM110  # A generator takes longer, compiled.
        if part is None or not part.is_ascii:
            return False
    return True
