"""A document as bytes: one update of all there was at some time, the base, and later ones.

The base is kept as the frame in which newcomers get it, so that a large document is in memory
once, and a new member costs nothing but the sending. While there is nothing else, that frame is the
answer to the new member's step 1. Later updates, the tail, are merged once for all questions before
the next change; then the tail is the answer, with the base sent as an update before it: clients
count as synced with the answer, and must have everything by then.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from collab.protocol.frames import step2_frame, update_frame
from collab.protocol.yjs.updates import EMPTY_UPDATE, cut, merge

__all__ = ["Answers", "DocumentBytes", "EncodedDocument"]

#: The base is encoded anew when the tail outgrows it: at the earliest at the first of these sizes,
#: at the latest at the second.
_MIN_TAIL_SIZE: Final = 64 * 1024
_MAX_TAIL_SIZE: Final = 1024 * 1024
#: Updates in the tail, at most.
_MAX_TAIL_LENGTH: Final = 1_000
#: Bytes of answers that are kept.
_MAX_ANSWERS: Final = 256 * 1024


class DocumentBytes(NamedTuple):
    """A document without a Doc.

    Args:
        update: all there is, which a Doc takes in at once.
        state: its state vector.
    """

    update: bytes
    state: bytes


class EncodedDocument:
    """All that a document holds.

    Args:
        base: to begin with.
    """

    __slots__ = (
        "_frame",
        "_is_answer",
        "_max_tail_size",
        "_start",
        "_tail",
        "_tail_frame",
        "_tail_size",
        "base_size",
        "size",
    )

    def __init__(self, base: bytes = EMPTY_UPDATE) -> None:
        self.replace(base)

    def replace(self, base: bytes) -> None:
        """Begin anew with ``base``, which holds all there was."""
        self._frame, self._is_answer = step2_frame(base), True
        self._start = len(self._frame) - len(base)
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._max_tail_size = max(_MIN_TAIL_SIZE, min(len(base), _MAX_TAIL_SIZE))
        #: Bytes of the base, and of all there is, at most.
        self.base_size = self.size = len(base)
        #: The tail as the answer to a step 1, if it has not changed since.
        self._tail_frame: bytes | None = None

    def add(self, update: bytes) -> bool:
        """Add a new update; return whether the tail has become too long, or too large."""
        tail, size = self._tail, len(update)
        tail.append(update)
        self._tail_size += size
        self.size += size
        self._tail_frame = None
        return self._tail_size > self._max_tail_size or len(tail) > _MAX_TAIL_LENGTH

    @property
    def has_tail(self) -> bool:
        """Whether something has been added to the base."""
        return bool(self._tail)

    @property
    def is_outgrown(self) -> bool:
        """Whether the tail has too many bytes; see ``replace``."""
        return self._tail_size > self._max_tail_size

    def updates(self) -> list[bytes]:
        """Return the base, and the tail as one update, if there is any."""
        self.merge_tail()
        return [self._frame[self._start :], *self._tail]

    def merge_tail(self) -> None:
        """Merge the tail into one update."""
        if len(self._tail) > 1:
            self._tail = [merge(self._tail)]
            self._tail_size = len(self._tail[0])
            self.size = self.base_size + self._tail_size

    def frames(self) -> list[bytes]:
        """Return the frames for a client that has nothing, in this order."""
        if not self._tail:
            return [self._frame]
        if self._is_answer:
            self._frame, self._is_answer = update_frame(self._frame[self._start :]), False
        if self._tail_frame is None:
            self.merge_tail()
            self._tail_frame = step2_frame(self._tail[0])
        return [self._frame, self._tail_frame]

    def lacking(self, state: bytes) -> bytes:
        """Return the update that a document of state vector ``state`` lacks.

        Raises:
            PoisonedDoc: pycrdt cannot compute it.
        """
        return merge([cut(update, state) for update in self.updates()])


class Answers:
    """The answers to the step 1 of clients, for others that ask the same before it changes."""

    __slots__ = ("_frames", "_size")

    def __init__(self) -> None:
        #: State vector of a client -> the answer to its step 1.
        self._frames: dict[bytes, bytes] = {}
        self._size = 0

    def get(self, state: bytes) -> bytes | None:
        """Return the answer to a client of state vector ``state``, if it is kept."""
        return self._frames.get(state)

    def keep(self, state: bytes, frame: bytes) -> None:
        """Keep an answer, in place of all others if there are too many."""
        if self._size + len(frame) > _MAX_ANSWERS:
            self.forget()
        self._frames[state] = frame
        self._size += len(frame)

    def forget(self) -> None:
        """Forget all: the document has changed."""
        if self._frames:
            self._frames.clear()
            self._size = 0
