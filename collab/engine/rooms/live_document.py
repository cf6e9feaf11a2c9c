"""The content of a live document: its Doc, and beside it the same as bytes.

A Doc that pycrdt has broken is made anew from the bytes, and so are answers to clients. A Doc takes
up several times as much memory, and only changes need it: when nothing has changed for a while, the
document falls asleep, so that only bytes are left, and wakes with the next change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Set
from typing import Any, Final, Protocol

from pycrdt import Doc, SubdocsEvent, Subscription, TransactionEvent

from collab.engine.rooms.encoded_document import Answers, DocumentBytes, EncodedDocument
from collab.engine.runtime.malloc_trim import current_trimmer
from collab.protocol.frames import step2_frame
from collab.protocol.yjs.nesting import Nesting
from collab.protocol.yjs.poisoned_doc import PoisonedDoc
from collab.protocol.yjs.typed_effects import FEW_TEXTS, TypedEffects, are_ascii
from collab.protocol.yjs.updates import (
    EMPTY_STATE,
    EMPTY_UPDATE,
    apply,
    cut,
    merge,
    release,
)
from collab.protocol.yjs.validation import UpdateOutline
from collab_storage.structs import Id
from collab_storage.subdocuments import delete_subdocuments, has_subdocuments
from collab_storage.surrogates import SurrogatePairs, break_pairs, has_pairs
from collab_storage.updates import TypedText, has_no_news, is_covered, is_panic, state_vector

__all__ = ["DocumentListener", "LiveDocument"]

#: A base of no more bytes is encoded anew rather than sent in two parts.
_SMALL: Final = 64 * 1024
#: Size of a base above which that is put off as long as possible.
_LARGE: Final = 1024 * 1024
#: Size of the largest observed update: events for all changes of a larger one would take far
#: longer than applying it.
_MAX_WATCHED: Final = 64 * 1024


class DocumentListener(Protocol):
    """Learns of everything that happens to a live document by itself."""

    def attach_watchers(self) -> None:
        """Attach the watchers to the Doc."""

    def detach_watchers(self) -> None:
        """Detach the watchers from the Doc."""

    def doc_changed(self, update: bytes) -> None:
        """Server code has changed the Doc itself."""

    def doc_replaced(self) -> None:
        """The Doc is another, or there is none at the moment."""

    def doc_rebuilt(self) -> None:
        """The Doc had to be made anew; for the moment it is without the project's observers."""


class LiveDocument:
    """The content of one live document.

    Args:
        listener: of the document; call ``start`` before anything else.
        max_nesting: how many shared types may be inside each other.
        sleep_after: seconds without a change after which it falls asleep, and as many again for
            each MiB that waking it has to read; ``None`` if it must not.
    """

    __slots__ = (
        "_answers",
        "_applying",
        "_doc",
        "_effect",
        "_effects",
        "_has_subdocuments",
        "_is_fresh",
        "_listener",
        "_loop",
        "_nesting",
        "_observation",
        "_pairs",
        "_rebase_handle",
        "_record",
        "_sleep_after",
        "_sleep_handle",
        "_state",
    )

    def __init__(
        self, listener: DocumentListener, max_nesting: int, sleep_after: float | None = None
    ) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._rebase_handle: asyncio.Handle | None = None
        self._sleep_handle: asyncio.TimerHandle | None = None
        self._sleep_after = sleep_after
        #: ``None`` while it is asleep.
        self._doc: Doc[Any] | None = None
        self._record = EncodedDocument()
        #: The state vector; ``None`` if only the Doc knows it.
        self._state: bytes | None = None
        self._nesting = Nesting(max_nesting, self._whole)
        self._pairs = SurrogatePairs(lambda: self._record.updates())
        self._answers = Answers()
        self._applying = False
        self._effect = EMPTY_UPDATE
        #: Its changes are observed; ``None`` while only typed text is applied to it.
        self._observation: Subscription | None = None
        self._effects = TypedEffects()
        #: The Doc has, or had, subdocuments.
        self._has_subdocuments = False
        #: Whether the document has changed since the last check whether it may sleep.
        self._is_fresh = True

    def start(self, source: Doc[Any] | DocumentBytes) -> None:
        """Begin with the content of a Doc, which is used from now on, or of bytes."""
        if isinstance(source, DocumentBytes):
            self._record, self._state = EncodedDocument(source.update), source.state
            if self._sleep_after is None:
                self._awake()
        else:
            source.observe_subdocs(self._observe_subdocuments)
            self._use(source)
            self._rebase()
            # The project has made it; the subdocuments that it has brought were not seen.
            self._has_subdocuments = has_subdocuments(self._record.updates()[0])

    def close(self) -> None:
        """Cancel the scheduled work, and stay as it is."""
        for handle in (self._rebase_handle, self._sleep_handle):
            if handle is not None:
                handle.cancel()
        self._rebase_handle = self._sleep_handle = None
        self._sleep_after = None

    def release(self) -> None:
        """Release the Doc."""
        if self._doc is not None:
            release(self._doc)
            self._observation = None
            # Letters that wait are in the bytes.
            self._effects = TypedEffects()
            if self._has_subdocuments:
                delete_subdocuments(self._doc)

    # The Doc.

    @property
    def doc(self) -> Doc[Any]:
        """The Doc; since the caller may keep it and observe it, it is kept from now on."""
        self._sleep_after = None
        doc = self._awake()
        self._observe_changes(doc)
        return doc

    @property
    def is_asleep(self) -> bool:
        """Whether there is no Doc at the moment."""
        return self._doc is None

    def _awake(self) -> Doc[Any]:
        if self._doc is None:
            doc: Doc[Any] = Doc()
            self._fill(doc)
            return self._use(doc)
        if self._effects.waiting is not None:
            self._ignore_changes(self._doc)
            apply(self._doc, self._effects.take_waiting(), is_private=True)
        return self._doc

    def _fill(self, doc: Doc[Any]) -> None:
        doc.observe_subdocs(self._observe_subdocuments)
        for update in self._record.updates():
            apply(doc, update)

    def _use(self, doc: Doc[Any]) -> Doc[Any]:
        self._doc = doc
        if not self._is_private:
            self._observe_changes(doc)
        self._listener.attach_watchers()
        self._sleep_later()
        return doc

    def _sleep_later(self) -> None:
        if self._sleep_after is not None and self._sleep_handle is None:
            delay = self._sleep_after * (1 + self._record.size / _LARGE)
            self._sleep_handle = self._loop.call_later(delay, self._check_idle)

    def _check_idle(self) -> None:
        self._sleep_handle = None
        if self._sleep_after is None:
            return
        if self._is_fresh:
            self._is_fresh = False
            self._sleep_later()
        else:
            self.sleep()

    def sleep(self) -> None:
        """Keep only the bytes, until the Doc is needed again."""
        if self._doc is None:
            return
        self._state = self.state()
        if self._record.is_outgrown or (self._record.has_tail and self._record.base_size <= _LARGE):
            self._rebase()
        self._record.merge_tail()
        self._listener.doc_replaced()
        self._nesting.rest()
        self._answers.forget()
        self.release()
        self._doc = None
        current_trimmer().note_freed(self._record.size)

    # Reading.

    @property
    def size(self) -> int:
        """Bytes of the encoded document, at most."""
        return self._record.size

    def exact_size(self, limit: int) -> int:
        """Return the size, exactly if it might be more than ``limit``."""
        if self._record.size > limit and self._record.has_tail:
            self._rebase()
        return self._record.size

    def answer(self, state: bytes) -> list[bytes]:
        """Return the frames that answer a step 1; encoded once for all who ask meanwhile."""
        if state == EMPTY_STATE:
            return self._answer_to_newcomer()
        if (frame := self._answers.get(state)) is None:
            frame = step2_frame(self.encode(state))
            self._answers.keep(state, frame)
        return [frame]

    def _answer_to_newcomer(self) -> list[bytes]:
        if self._record.has_tail and self._record.base_size <= _SMALL:
            self._rebase()
        return self._record.frames()

    def state(self) -> bytes:
        """Return the state vector."""
        if self._state is None:
            self._state = self._guarded(lambda doc: doc.get_state())
        return self._state

    def encode(self, state: bytes) -> bytes:
        """Return the update that a document of state vector ``state`` lacks."""
        if self._doc is None:
            return self._record.lacking(state)
        return self._guarded(lambda doc: doc.get_update(state))

    def has(self, update: bytes) -> bool:
        """Return whether all of ``update`` is part of it."""
        return is_covered(self.state(), update)

    def has_all(self, update: bytes) -> bool:
        """Return whether ``update``, which was never integrated, has nothing that is new."""
        state = self.state()
        return has_no_news(state, self.encode(state), update)

    def check_nesting(self, outline: UpdateOutline) -> None:
        """Return if an update, which can be integrated at once, does not nest it too deep.

        Raises:
            TooBig: it would.
        """
        self._nesting.check(outline)

    def _whole(self) -> bytes:
        return self.encode(EMPTY_STATE)

    def _guarded(self, read: Callable[[Doc[Any]], bytes]) -> bytes:
        try:
            return read(self._awake())
        except BaseException as error:
            if not is_panic(error):
                raise
        self.repair()
        return read(self._awake())

    # Changing it.

    def apply(
        self, update: bytes, parts: Sequence[TypedText | None] = (None,), *, watched: bool
    ) -> bytes:
        """Apply ``update``, all of which can be integrated; return its new part.

        Args:
            update: its bytes, merged of ``parts``.
            parts: each read as typed text, or ``None``.
            watched: there are watchers. They do not see each change in a large update.

        Raises:
            PoisonedDoc: it cannot be applied; call ``repair``.
        """
        if update == EMPTY_UPDATE:
            # Usually an empty SyncStep2 on join; not worth materializing the Doc.
            return update
        is_ascii = are_ascii(parts)
        if broken := self._pairs.broken_by(update, is_ascii=is_ascii):
            update = self._break_pairs(broken, update)
        if broken or not self._is_private:
            self._effects.forget()
        elif self._effects.are_known(parts) and (
            self._observation is None or self._effects.texts > FEW_TEXTS
        ):
            self._apply_text(update, parts)
            self._record_change(update, is_ascii=is_ascii)
            return update
        news = self._apply_observed(update, watched=watched)
        if news is not update:
            self._effects.doubt()
        # Only where the effect is less than the update can part of it have been held back.
        if len(news) < len(update) and not self.has(update):
            raise PoisonedDoc("The Doc has not integrated all of it.")
        if news != EMPTY_UPDATE:
            self._record_change(news, is_ascii=is_ascii and news is update)
        return news

    def _apply_text(self, update: bytes, parts: Sequence[TypedText | None]) -> None:
        self._state = None
        if not self._effects.wait(parts):
            doc = self._awake()
            self._ignore_changes(doc)
            apply(doc, update, is_private=True)

    def _apply_observed(self, update: bytes, *, watched: bool) -> bytes:
        """Apply ``update``; return its effect, which is the same object if it is equal."""
        doc = self._awake()
        self._observe_changes(doc)
        overlooking = watched and len(update) > _MAX_WATCHED
        if overlooking:
            self._listener.detach_watchers()
        self._applying, self._effect = True, EMPTY_UPDATE
        try:
            apply(doc, update, is_private=self._is_private)
        finally:
            if overlooking:
                self._listener.attach_watchers()
            self._applying = False
        self._state = None
        return update if self._effect == update else self._effect

    def _break_pairs(self, broken: Set[Id], update: bytes) -> bytes:
        """Break these pairs in the document, and in an update that breaks them.

        Yjs does so when it integrates the update, and pycrdt does not.
        """
        if in_document := self._pairs.known(broken):
            whole = merge([break_pairs(part, in_document) for part in self._record.updates()])
            self._record.replace(whole)
            self._pairs.forget()
            self._answers.forget()
            self.repair()
        return break_pairs(update, broken)

    def cut(self, update: bytes) -> bytes:
        """Return the part of ``update`` that is new; all deletions stay.

        Raises:
            PoisonedDoc: pycrdt cannot compute it.
        """
        if has_pairs(update):
            # Of a pair whose first half is known, Yjs integrates half of what it breaks it into.
            update = break_pairs(update, set(state_vector(self.state()).items()))
        return cut(update, self.state())

    def repair(self) -> None:
        """Make the Doc anew, for the moment without the project's observers."""
        self.rebuild(Doc())
        self._listener.doc_rebuilt()

    def adopt(self, doc: Doc[Any], *, is_closed: bool) -> None:
        """Go on with ``doc`` if it is empty and the room is not closed; else free it."""
        if is_closed or doc.get_state() != EMPTY_STATE:
            release(doc)
        else:
            self.rebuild(doc)

    def rebuild(self, doc: Doc[Any]) -> None:
        """Go on with ``doc``, which is empty."""
        self._fill(doc)
        if self._doc is not None:
            self._listener.detach_watchers()
            self.release()
        self._state = None
        self._listener.doc_replaced()
        self._nesting.forget()
        self._use(doc)

    @property
    def _is_private(self) -> bool:
        """Whether only this room uses the Doc, as it may sleep."""
        return self._sleep_after is not None

    def _observe_changes(self, doc: Doc[Any]) -> None:
        if self._observation is None:
            self._observation = doc.observe(self._observe)

    def _ignore_changes(self, doc: Doc[Any]) -> None:
        if self._observation is not None:
            doc.unobserve(self._observation)
            self._observation = None

    def _observe_subdocuments(self, event: SubdocsEvent) -> None:
        self._has_subdocuments = True

    def _observe(self, event: TransactionEvent) -> None:
        if self._applying:
            self._effect = event.update
        else:
            # Server code changed the Doc itself.
            self._state = None
            self._record_change(event.update)
            self._listener.doc_changed(event.update)

    # The bytes beside the Doc.

    def _record_change(self, update: bytes, *, is_ascii: bool = False) -> None:
        self._is_fresh = True
        self._answers.forget()
        self._nesting.note(update)
        if not is_ascii:
            self._pairs.add(update)
        if self._record.add(update):
            self._shorten()

    def _shorten(self) -> None:
        if not self._record.is_outgrown and self._record.base_size > _LARGE:
            self._record.merge_tail()
        elif self._rebase_handle is None:
            # Not now: the Doc may be in the middle of a transaction.
            self._rebase_handle = self._loop.call_soon(self._rebase)

    def _rebase(self) -> None:
        if self._rebase_handle is not None:
            self._rebase_handle.cancel()
            self._rebase_handle = None
        self._record.replace(self._guarded(lambda doc: doc.get_update()))
