"""Integrates a room's updates into its document, each as soon as it can be.

pycrdt keeps structs that depend on missing insertions inside the Doc. It may lose some of them, and
they may contradict others that are there or arrive later: then the document can no longer be read
from its stored updates, or reads otherwise. So the Doc gets only structs that it integrates at
once, and the rest is pending outside of it; see :mod:`collab.engine.rooms.pending`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from pycrdt import Doc

from collab.engine.rooms.context import RoomContext, Source
from collab.engine.rooms.live_document import LiveDocument
from collab.engine.rooms.member import Member
from collab.engine.rooms.pending import PendingUpdates
from collab.engine.runtime.counters import counters
from collab.exceptions import MemberError, ProtocolViolation, TooBig
from collab.protocol.effects import Origin, RoomUpdate
from collab.protocol.yjs.partial import PartialUpdate, StateVector, advance, can_extend
from collab.protocol.yjs.poisoned_doc import PoisonedDoc
from collab.protocol.yjs.updates import EMPTY_UPDATE, merge, outline
from collab.protocol.yjs.validation import UpdateOutline, check_structure
from collab_storage.updates import TypedText, state_vector
from collab_storage.updates import merge as merge_read

__all__ = ["Integrator"]

logger = logging.getLogger("collab.room")

#: Least time between two rounds of questions for missing updates, in seconds.
_QUESTION_INTERVAL = 1.0
#: From this size on, server code's updates are cut down to their new part before they are read.
_LARGE = 64 * 1024


class Integrator:
    """Decides which of a room's updates are integrated now, pending, or refused.

    Invariants:

    1. An update, or each part of one, is in one place: queued, pending, integrated or refused.
    2. The Doc gets structs that it integrates at once; nothing is pending inside it.
    3. ``_known`` is the state vector of the Doc, or ``None`` until that is read again.
    4. When ``integrate`` returns, nothing is queued, and of the pending updates none is ready.
    5. A refused update leaves the document as it was, and costs no member but its sender anything.
    6. A member's update is numbered below every update of that member that is pending.
    7. A member with a pending update was asked for the missing ones, or will be soon.

    Args:
        name: of the document.
        members: of the room, as they come and go.
        source: the document's content.
        context: of the room.
        on_queued: called when there is something to integrate.
        on_rebuilt: called when the Doc had to be made anew, without the project's observers.
    """

    def __init__(
        self,
        name: str,
        members: Collection[Member],
        source: Source,
        context: RoomContext,
        on_queued: Callable[[], object],
        on_rebuilt: Callable[[], object],
    ) -> None:
        self._name = name
        self.members = members
        self._settings = settings = context.settings
        self._on_queued = on_queued
        self._on_rebuilt = on_rebuilt
        self.watchers = context.watchers
        #: The sender of the update that is being applied; ``None`` unless it is a member.
        self.author: Member | None = None
        self._queue: list[RoomUpdate[Member]] = []
        self._pending = PendingUpdates()
        self._known: StateVector | None = None
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._question: asyncio.TimerHandle | None = None
        self._question_due = 0.0
        may_sleep = context.make_doc is None and not context.watchers
        sleep_after = settings.SLEEP_DELAY if may_sleep else None
        self.document = LiveDocument(self, settings.MAX_NESTING, sleep_after)
        self.document.start(source)

    @property
    def doc(self) -> Doc[Any]:
        """The Doc; once it was asked for, it is kept until the room is unloaded."""
        return self.document.doc

    def close(self) -> None:
        """Integrate nothing any more."""
        self._is_closed = True
        if self._question is not None:
            self._question.cancel()
        self._queue.clear()
        self.document.close()
        self.detach_watchers()

    # Events.

    def receive(self, update: RoomUpdate[Member]) -> None:
        """Queue a member's update.

        Raises:
            TooBig: the document would be larger than it may be.
        """
        counters.received_updates += 1
        document, limit = self.document, self._settings.MAX_DOCUMENT_SIZE
        left = limit - len(update.data)
        if document.size > left and document.exact_size(left) > left:
            raise TooBig(f"A document may have at most {limit} bytes.", limit="MAX_DOCUMENT_SIZE")
        self.add(update)

    def add(self, update: RoomUpdate[Member]) -> None:
        """Queue an update, unless the room is closed."""
        if not self._is_closed:
            self._queue.append(update)
            self._on_queued()

    def leave(self, member: Member) -> None:
        """Drop the pending updates of a member that has left."""
        self._pending.forget(member)

    @property
    def pending_updates(self) -> int:
        """The number of pending updates; may be read from any thread."""
        return len(self._pending)

    @property
    def queued(self) -> int:
        """The number of updates in the queue."""
        return len(self._queue)

    # Events of the document.

    def attach_watchers(self) -> None:
        """Attach the watchers to the Doc."""
        for watcher in self.watchers:
            watcher.attach(self)

    def detach_watchers(self) -> None:
        """Detach the watchers from the Doc."""
        for watcher in self.watchers:
            watcher.detach()

    def doc_changed(self, update: bytes) -> None:
        """Queue changes that server code has made in the Doc itself."""
        self._known = None
        self.add(RoomUpdate(update, origin=Origin.DOC))

    def doc_replaced(self) -> None:
        """Read the state vector anew when it is needed: the Doc is another, or there is none."""
        self._known = None

    def doc_rebuilt(self) -> None:
        """Report that the Doc had to be made anew, without the project's observers."""
        self._on_rebuilt()

    # Decisions.

    def integrate(self) -> tuple[list[RoomUpdate[Member]], bytes]:
        """Integrate the queued updates; return the good ones, and their changes as one update.

        Each is cut down to its new part.
        """
        queue, self._queue = self._queue, []
        if len(queue) == 1 and (found := queue[0].outline) is not None and not self._pending:
            # The usual case, one keystroke: the code below would do the same, more slowly.
            known = self._known
            if known is None:
                known = self._state_vector()
            if can_extend(found, known):
                advance(known, found)
                news = self._apply(queue[0], found)
                if news is None:
                    return [], EMPTY_UPDATE
                queue[0].data = news
                return queue, news
        turn = _Turn([], [])
        for update in queue:
            if update.origin is Origin.DOC:
                turn.add(update, update.data)
        work = deque(filter(self._is_readable, queue))
        while work:
            self._decide(work, turn)
            if not work and self._pending:
                work += self._pending.pop_ready(self._state_vector())
        self._pending.number(turn.updates)
        return turn.updates, merge(turn.news or [EMPTY_UPDATE])

    def _is_readable(self, update: RoomUpdate[Member]) -> bool:
        """Read an update, or refuse it; return whether it can be integrated."""
        if update.origin is Origin.DOC:
            return False
        if update.outline is None:
            try:
                if len(update.data) > _LARGE:
                    # Most of it may be known, and pycrdt reads faster.
                    update.data = self.document.cut(update.data)
                update.outline = outline(update.data)
            except (ProtocolViolation, PoisonedDoc):
                self._refuse(update)
                return False
        return True

    def _decide(self, work: deque[RoomUpdate[Member]], turn: _Turn) -> None:
        """Integrate the first of ``work``: with those behind it, alone, or as far as it can be."""
        batch = self._next_batch(work)
        if not batch:
            self._integrate_part(work.popleft(), turn)
        elif len(batch) == 1:
            update, found = batch[0]
            if (news := self._apply(update, found)) is not None:
                turn.add(update, news)
        else:
            try:
                self._integrate_batch(batch, turn)
            except PoisonedDoc:
                self.document.repair()
                # Applied one by one, they show which is to blame.
                for update, found in reversed(batch):
                    update.partial = PartialUpdate(found)
                    work.appendleft(update)

    def _next_batch(
        self, work: deque[RoomUpdate[Member]]
    ) -> list[tuple[RoomUpdate[Member], UpdateOutline]]:
        """Remove from ``work`` its first updates, as long as each extends the document."""
        known = self._state_vector()
        batch: list[tuple[RoomUpdate[Member], UpdateOutline]] = []
        while work and work[0].partial is None:
            found = work[0].outline
            assert found is not None
            # For an update with types, all before it must be in the Doc.
            is_alone = self.watchers or found.types or (batch and batch[0][1].types)
            if (batch and is_alone) or not can_extend(found, known):
                break
            advance(known, found)
            batch.append((work.popleft(), found))
        return batch

    def _integrate_batch(
        self, batch: list[tuple[RoomUpdate[Member], UpdateOutline]], turn: _Turn
    ) -> None:
        """Integrate several updates that extend the document.

        Raises:
            PoisonedDoc: one of them cannot be applied.
        """
        updates = [update for update, _ in batch]
        merged = merge_read([found.typed or found.update for _, found in batch])
        news = self._apply_to_doc(merged, [found.typed for _, found in batch])
        if news == EMPTY_UPDATE:
            for update in updates:
                update.data = news
        turn.updates.extend(updates)
        turn.news.append(news)

    def _integrate_part(self, update: RoomUpdate[Member], turn: _Turn) -> None:
        """Integrate the part of an update that can be; the rest is pending."""
        if update.partial is None:
            assert update.outline is not None
            update.partial = PartialUpdate(update.outline)
        part = update.partial.take(dict(self._state_vector()))
        news: bytes | None = EMPTY_UPDATE
        if part != EMPTY_UPDATE:
            news = self._apply(update, part)
            self._known = None
        if news is None:
            return
        if not update.partial.is_done:
            self._keep_pending(update)
            if news == EMPTY_UPDATE:
                return
        turn.add(update.integrated(), news)

    def _keep_pending(self, update: RoomUpdate[Member]) -> None:
        """Keep the rest of an update until it can be integrated, or its sender has left."""
        member, limit = update.member, self._settings.MAX_PENDING
        if member is None:
            # It is stored, or other processes have it and send it again.
            limit = self._settings.MAX_DOCUMENT_SIZE
        cost = self._pending.add(update)
        if cost > limit or (member is not None and member not in self.members):
            self._pending.forget(member)
        else:
            counters.gaps += member is not None
            self._question_later()
        if cost > limit:
            text = "Too many pending updates whose dependencies are missing."
            self._refuse(update, TooBig(text, limit="MAX_PENDING"))

    def _question_later(self) -> None:
        if self._question is None:
            due = max(self._loop.time(), self._question_due)
            self._question = self._loop.call_at(due, self._send_questions)

    def _send_questions(self) -> None:
        self._question = None
        self._question_due = self._loop.time() + _QUESTION_INTERVAL
        self._pending.question()

    def _refuse(self, update: RoomUpdate[Member], error: MemberError | None = None) -> None:
        """Drop an update, and end its sender's connection."""
        if update.member:
            error = error or ProtocolViolation("The update cannot be applied.")
            update.member.question.refuse(error)
            update.member.refuse(error)
        else:
            text = "An update that no member has sent cannot be applied and is dropped."
            logger.warning(text, extra={"room": self._name})

    # The Doc.

    def _state_vector(self) -> StateVector:
        if self._known is None:
            self._known = state_vector(self.document.state())
        return self._known

    def _apply(self, update: RoomUpdate[Member], found: UpdateOutline | bytes) -> bytes | None:
        """Apply the whole of an update that extends the document, or the bytes of a part of it.

        Returns:
            its new part; ``None`` if it is refused.
        """
        self.author = update.member
        try:
            if isinstance(found, bytes):
                # Cut down as it is stored and sent: a struct of which the first part is known may
                # say something else about where it belongs than that part.
                found = check_structure(self.document.cut(found))
            if update.member is not None and found.types:
                self.document.check_nesting(found)
            for watcher in self.watchers:
                watcher.receive(update.member, found)
            return self._apply_to_doc(found.update, [found.typed])
        except TooBig as error:
            self._known = None
            self._refuse(update, error)
        except (PoisonedDoc, ProtocolViolation):
            self.document.repair()
            self._refuse(update)
        finally:
            self.author = None
        return None

    def _apply_to_doc(self, update: bytes, parts: Sequence[TypedText | None]) -> bytes:
        """Apply an update, whose parts were read as typed text, or are none; return its effect."""
        return self.document.apply(update, parts, watched=bool(self.watchers))


class _Turn(NamedTuple):
    """The integrated updates of a turn of the event loop, and their new parts."""

    updates: list[RoomUpdate[Member]]
    news: list[bytes]

    def add(self, update: RoomUpdate[Member], news: bytes) -> None:
        update.data = news
        self.updates.append(update)
        self.news.append(news)
