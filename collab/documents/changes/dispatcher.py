"""Delivers queued changes in the background, in threads of its own.

Threads and not tasks: receivers are the project's synchronous code as often as not, may take long,
and must hold up neither the event loops in which people edit nor Django's shared thread.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from time import monotonic

from django.db import DatabaseError, InterfaceError, connections

from collab.documents.changes.deliverer import Deliverer
from collab_storage.event_queue import Lease

__all__ = ["POLL_INTERVAL", "Dispatcher", "dispatcher"]

logger = logging.getLogger("collab.changes")

#: Documents whose receivers run at the same time in this process.
_WORKERS = 4
#: Seconds between two looks for events that other processes have recorded.
POLL_INTERVAL = 2.0
#: Documents that are looked up at once.
_BATCH = 200


class Dispatcher:
    """Delivers changes from :meth:`start` until :meth:`stop`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_look = self._next_renewal = 0.0
        self._queue: deque[str] = deque()
        self._workers: set[threading.Thread] = set()
        #: By document, in the queue without a lease, or with a worker.
        self._busy: dict[str, Lease | None] = {}

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
            self._queue.clear()
            running = [*self._workers]
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
                self._wake.clear()
                if (pause := self._next_look - monotonic()) > 0:
                    self._wake.wait(pause)
                    continue
                self._next_look = monotonic() + POLL_INTERVAL
                self._look()
        finally:
            connections.close_all()

    def _look(self) -> None:
        try:
            deliverer = Deliverer()
            for name in deliverer.due(_BATCH):
                self._enqueue(name)
            if monotonic() >= self._next_renewal:
                self._next_renewal = monotonic() + Deliverer.LEASE_TIME / 3
                # A copy, made at once: workers change it meanwhile.
                leases = list(self._busy.values())
                deliverer.renew([lease for lease in leases if lease is not None])
        except (DatabaseError, InterfaceError) as error:
            logger.warning(
                "Changed documents cannot be looked up (%s); next attempt in %g s.",
                type(error).__name__,
                POLL_INTERVAL,
            )
            connections.close_all()

    def _enqueue(self, name: str) -> None:
        with self._lock:
            if name in self._busy or self._thread is None:
                return
            self._busy[name] = None
            self._queue.append(name)
            if len(self._workers) < _WORKERS:
                worker = threading.Thread(target=self._work, name="collab-receiver", daemon=True)
                self._workers.add(worker)
                worker.start()

    # The threads that deliver.

    def _work(self) -> None:
        deliverer = Deliverer()
        try:
            while name := self._next():
                try:
                    deliverer.deliver(name, on_leased=self._hold)
                finally:
                    self._busy.pop(name)
        finally:
            connections.close_all()

    def _next(self) -> str | None:
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._workers.discard(threading.current_thread())
            return None

    def _hold(self, lease: Lease) -> None:
        self._busy[lease.name] = lease


#: That of this process.
dispatcher = Dispatcher()
