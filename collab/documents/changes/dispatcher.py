"""Delivers queued changes in the background, in threads of its own.

Threads and not tasks: receivers are the project's synchronous code as often as not, may take long,
and must hold up neither the event loops in which people edit nor Django's shared thread.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Sequence
from time import monotonic

from django.db import DatabaseError, InterfaceError, connections

from collab.documents.changes.deliverer import Deliverer
from collab.documents.document_type import DocumentType
from collab.documents.registry import type_of
from collab.engine.storing.writer import summary
from collab_storage.event_queue import Lease

__all__ = ["POLL_INTERVAL", "Dispatcher", "dispatcher"]

logger = logging.getLogger("collab.changes")

#: Documents whose receivers run at the same time in this process, without the slow ones: those that
#: run for more than some seconds, of which there is a limit for each type of documents.
_WORKERS = 4
_SLOW_AFTER = 5.0
_MAX_SLOW = 8
#: Seconds between two looks for events that other processes have recorded.
POLL_INTERVAL = 2.0
#: Documents that are looked up at once.
_BATCH = 200
#: Seconds after which a receiver that runs is reported in the log.
_REPORTED_AFTER = 60.0
#: Shortest time between two reports of a database that does not answer, in seconds.
_QUIET = 60.0


class Dispatcher:
    """Delivers changes from :meth:`start` until :meth:`stop`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_look = self._next_renewal = 0.0
        self._queue: deque[str] = deque()
        self._workers: set[threading.Thread] = set()
        #: Workers that have not ended, also those that take nothing more and close connections.
        self._worker_threads: list[threading.Thread] = []
        #: By document, in the queue without a lease, or with a worker.
        self._busy: dict[str, Lease | None] = {}
        #: By document, when its receivers were called.
        self._called_at: dict[str, float] = {}
        #: Documents whose receivers were reported because they do not end.
        self._reported: set[str] = set()
        #: The last look did not return all that is due.
        self._has_more = False
        self._quiet_until = 0.0

    def start(self) -> None:
        """Begin, unless it has. The threads end with the process at the latest."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="collab-changes", daemon=True
                )
                self._thread.start()

    def stop(self, timeout: float) -> None:
        """Deliver nothing new, and wait for receivers that run, at most ``timeout`` seconds."""
        with self._lock:
            thread, self._thread = self._thread, None
            while self._queue:
                del self._busy[self._queue.pop()]
            running = [*self._worker_threads]
        if thread is not None:
            self._wake.set()
            running.append(thread)
        deadline = monotonic() + timeout
        for each in running:
            each.join(max(0, deadline - monotonic()))

    def look_within(self, seconds: float) -> None:
        """Look for due changes at most ``seconds`` from now; may be called from any thread."""
        with self._lock:
            at = monotonic() + seconds
            is_sooner = at < self._next_look
            if is_sooner:
                self._next_look = at
        if is_sooner:
            self._wake.set()

    # The thread that looks.

    def _run(self) -> None:
        try:
            while threading.current_thread() is self._thread:
                if (pause := self._next_look - monotonic()) > 0:
                    self._wake.wait(pause)
                    # Before the condition is checked again: a call of stop() is not missed so.
                    self._wake.clear()
                    continue
                self._next_look = monotonic() + POLL_INTERVAL
                self._look()
        finally:
            connections.close_all()

    def _look(self) -> None:
        try:
            deliverer = Deliverer()
            # Busy documents that are not leased yet are found again.
            limit = _BATCH + len(self._busy)
            self._enqueue(deliverer.due(limit), limit)
            self._report_slow()
            if monotonic() >= self._next_renewal:
                self._next_renewal = monotonic() + Deliverer.LEASE_TIME / 3
                # A copy, made at once: workers change it meanwhile.
                leases = list(self._busy.values())
                deliverer.renew([lease for lease in leases if lease is not None])
        except Exception as error:
            # Whatever it is, such as that no thread can be started: no other thread looks.
            self._report_failure(error)
            connections.close_all()

    def _report_failure(self, error: Exception) -> None:
        if (now := monotonic()) < self._quiet_until:
            return
        self._quiet_until = now + _QUIET
        logger.warning(
            "Changed documents cannot be looked up (%s); next attempts every %g s.",
            summary(error),
            POLL_INTERVAL,
            exc_info=None if isinstance(error, DatabaseError | InterfaceError) else error,
        )

    def _enqueue(self, names: Sequence[str], limit: int) -> None:
        with self._lock:
            if self._thread is None:
                return
            new = [name for name in names if name not in self._busy]
            self._has_more = len(names) == limit
            self._busy.update(dict.fromkeys(new))
            self._queue.extend(new)
            self._start_workers()

    def _start_workers(self) -> None:
        """Start workers for the queued changes; a receiver that hangs keeps its worker only."""
        slow = self._slow_by_type()
        waiting = sum(slow[_type_of(name)] < _MAX_SLOW for name in self._queue)
        self._worker_threads = [thread for thread in self._worker_threads if thread.is_alive()]
        for _ in range(min(waiting, _WORKERS + slow.total() - len(self._workers))):
            worker = threading.Thread(target=self._work, name="collab-receiver", daemon=True)
            # It waits for the lock, which is held here.
            worker.start()
            self._workers.add(worker)
            self._worker_threads.append(worker)

    def _slow_by_type(self) -> Counter[type[DocumentType] | None]:
        since = monotonic() - _SLOW_AFTER
        return Counter(_type_of(name) for name, at in self._called_at.items() if at < since)

    def _report_slow(self) -> None:
        now = monotonic()
        with self._lock:
            slow = {name: at for name, at in self._called_at.items() if now - at > _REPORTED_AFTER}
            new, self._reported = slow.keys() - self._reported, {*slow}
        for name in new:
            logger.error(
                "A receiver of a changed document has been running for %d s; later changes of the"
                " document wait until it returns.",
                now - slow[name],
                extra={"room": name},
            )

    # The threads that deliver.

    def _work(self) -> None:
        deliverer = Deliverer()
        try:
            while name := self._next():
                try:
                    deliverer.deliver(name, on_leased=self._hold)
                finally:
                    with self._lock:
                        del self._busy[name], self._called_at[name]
        finally:
            with self._lock:
                # Whatever has ended it, others are started in its place.
                self._workers.discard(threading.current_thread())
            connections.close_all()

    def _next(self) -> str | None:
        """Return the next document to be delivered by this worker; ``None`` ends it."""
        with self._lock:
            name = self._take()
            if name is None:
                self._workers.discard(threading.current_thread())
            else:
                self._called_at[name] = monotonic()
            is_drained = self._has_more and not self._queue
        if is_drained:
            self.look_within(0)
        return name

    def _take(self) -> str | None:
        """Remove the first document from the queue whose type has not too many slow receivers.

        Return ``None`` if there is none, or this worker stood in for one that is not slow any more.
        """
        slow = self._slow_by_type()
        if len(self._workers) - slow.total() > _WORKERS:
            return None
        for place, name in enumerate(self._queue):
            if slow[_type_of(name)] < _MAX_SLOW:
                del self._queue[place]
                return name
        return None

    def _hold(self, lease: Lease) -> None:
        self._busy[lease.name] = lease


def _type_of(name: str) -> type[DocumentType] | None:
    try:
        return type_of(name)
    except Exception:
        # A converter of its pattern fails; so will the delivery, which is logged.
        return None


#: The dispatcher of this process.
dispatcher = Dispatcher()
