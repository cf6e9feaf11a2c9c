"""What a live document holds: its Doc, and beside it the same as bytes.

The bytes are what a Doc is made anew from when pycrdt has broken it, and what the answers to
clients are made of. They are one update of all there was at some time, the base, and what came
since, the tail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from pycrdt import Doc, TransactionEvent

from collab_storage.updates import is_integrated, state_vector

from .held import Known
from .nesting import Nesting
from .protocol import step2_frame
from .structure import Outline
from .updates import EMPTY_STATE, EMPTY_UPDATE, PoisonedDoc, apply, is_panic, merge, release

__all__ = ["Content", "Owner"]

#: The base is encoded anew when the tail outgrows it, or this size, or this number of updates.
_MIN_TAIL_SIZE = 64 * 1024
_MAX_TAIL_LENGTH = 1_000
#: Of a larger update, events for all that it changes would take far longer than applying it.
_MAX_WATCHED = 64 * 1024


class Owner(Protocol):
    """Whose content it is: the room."""

    def attach_watchers(self) -> None:
        """Let the project's apps observe the Doc."""

    def detach_watchers(self) -> None:
        """Let them observe it no longer."""

    def doc_changed(self, update: bytes) -> None:
        """Take what server code has changed in the Doc itself."""

    def doc_rebuilt(self) -> None:
        """The Doc had to be made anew; for the moment it is without the project's observers."""


class Content:
    """The content of one live document.

    Args:
        owner: is told what happens to it; ``start`` is to be called before anything else.
        max_nesting: so many shared types may be inside each other.
    """

    def __init__(self, owner: Owner, max_nesting: int) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._rebase_handle: asyncio.Handle | None = None
        self._base = EMPTY_UPDATE
        self._tail: list[bytes] = []
        self._tail_size = 0
        #: How far the Doc has got; ``None`` if somebody else has changed it.
        self._known: Known | None = None
        self._nesting = Nesting(max_nesting, lambda: self.encode(EMPTY_STATE))
        self._full_state: bytes | None = None
        self._applying = False
        self._effect = EMPTY_UPDATE

    def start(self, doc: Doc[Any]) -> None:
        """Begin with what ``doc`` has."""
        self._use(doc)
        self._rebase()

    def _use(self, doc: Doc[Any]) -> None:
        self.doc = doc
        doc.observe(self._observe)
        self._owner.attach_watchers()

    def close(self) -> None:
        """Do nothing any more."""
        if self._rebase_handle is not None:
            self._rebase_handle.cancel()

    def release(self) -> None:
        """Let go of the Doc."""
        release(self.doc)

    # What it holds.

    @property
    def size(self) -> int:
        """Bytes of the encoded document, at most."""
        return len(self._base) + self._tail_size

    def exact_size(self, limit: int) -> int:
        """Return the size, exactly if it might be more than ``limit``."""
        if self.size > limit and self._tail:
            self._rebase()
        return self.size

    def full_state_frame(self) -> bytes:
        """Return the whole document as a step 2; encoded once for all who join meanwhile."""
        if self._full_state is None:
            whole = self.encode(EMPTY_STATE) if self._tail else self._base
            self._full_state = step2_frame(whole)
        return self._full_state

    def state(self) -> bytes:
        """Return the state vector."""
        return self._guarded(lambda doc: doc.get_state())

    def encode(self, state: bytes) -> bytes:
        """Return what a document of state vector ``state`` lacks."""
        return self._guarded(lambda doc: doc.get_update(state))

    def known(self) -> Known:
        """Return how far it has got; to be changed with it, or to be forgotten."""
        if self._known is None:
            self._known = state_vector(self.state())
        return self._known

    def forget_known(self) -> None:
        """Find out anew how far it has got."""
        self._known = None

    def check_nesting(self, outline: Outline) -> None:
        """Return if an update, which can be taken in at once, does not nest it too deep.

        Raises:
            TooBig: it would.
        """
        self._nesting.check(outline)

    def _guarded(self, read: Callable[[Doc[Any]], bytes]) -> bytes:
        try:
            return read(self.doc)
        except BaseException as error:
            if not is_panic(error):
                raise
        self.repair()
        return read(self.doc)

    # Changing it.

    def apply(self, update: bytes, *, watched: bool) -> bytes:
        """Apply ``update``, all of which can be integrated; return what is new in it.

        The Doc's watchers are not told of each change in a large one.

        Raises:
            PoisonedDoc: it cannot be applied; ``repair`` is to be called.
        """
        overlooking = watched and len(update) > _MAX_WATCHED
        if overlooking:
            self._owner.detach_watchers()
        self._applying, self._effect = True, EMPTY_UPDATE
        try:
            apply(self.doc, update)
        finally:
            if overlooking:
                self._owner.attach_watchers()
            self._applying = False
        news = self._effect
        # Only where the effect is less than the update can part of it have been held back.
        if len(news) < len(update) and not is_integrated(self.doc, update):
            raise PoisonedDoc("The Doc has not taken in all of it.")
        if news != EMPTY_UPDATE:
            self._record(news)
        return news

    def repair(self) -> None:
        """Make the Doc anew, for the moment without the project's observers."""
        self.rebuild(Doc())
        self._owner.doc_rebuilt()

    def rebuild(self, doc: Doc[Any]) -> None:
        """Go on with ``doc``, which is empty."""
        apply(doc, merge([self._base, *self._tail]))
        self._owner.detach_watchers()
        release(self.doc)
        self._known = None
        self._nesting.forget()
        self._use(doc)

    def _observe(self, event: TransactionEvent) -> None:
        if self._applying:
            self._effect = event.update
        else:
            # Server code changed the Doc itself.
            self._known = None
            self._record(event.update)
            self._owner.doc_changed(event.update)

    # The bytes beside the Doc.

    def _record(self, update: bytes) -> None:
        self._full_state = None
        self._nesting.note(update)
        self._tail.append(update)
        self._tail_size += len(update)
        outgrown = self._tail_size > max(_MIN_TAIL_SIZE, len(self._base))
        if (outgrown or len(self._tail) > _MAX_TAIL_LENGTH) and self._rebase_handle is None:
            # Not now: the Doc may be in the middle of a transaction.
            self._rebase_handle = self._loop.call_soon(self._rebase)

    def _rebase(self) -> None:
        self._rebase_handle = None
        self._base = self.encode(EMPTY_STATE)
        self._tail = []
        self._tail_size = 0
