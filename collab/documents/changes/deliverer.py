"""Delivers the recorded changes of a document to the project's receivers, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from asgiref.sync import async_to_sync
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    InterfaceError,
    close_old_connections,
    transaction,
)

from collab.conf import get_storage
from collab.documents.changes.receivers import call_receivers
from collab.documents.changes.validation import validate_changes
from collab.documents.registry import resolve
from collab.exceptions import DocumentNotFound
from collab_storage.event_queue import LONGEST_LEASE, EventQueue, Lease, LeaseLost
from collab_storage.models import QueuedEvent
from collab_storage.orm import ORMStorage

__all__ = ["Deliverer"]

logger = logging.getLogger("collab.changes")

#: Seconds before a failed delivery is repeated, which double up to the second number; the third is
#: the number of attempts before it is given up, after about a day.
_FIRST_RETRY, _LONGEST_RETRY, _MAX_ATTEMPTS = 5.0, LONGEST_LEASE, 16


class Deliverer:
    """Delivers changes in the calling thread, on its database connections."""

    #: Seconds for which a document is leased; prolonged while a receiver runs.
    LEASE_TIME: ClassVar[float] = 60.0

    def __init__(self) -> None:
        storage = get_storage()
        #: Alias of the database with the queue: that of the documents, if they are in one.
        self._using = storage.using if isinstance(storage, ORMStorage) else DEFAULT_DB_ALIAS
        self._queue = EventQueue(self._using)

    def due(self, limit: int, *, wait: bool = True) -> list[str]:
        """See :meth:`collab_storage.event_queue.EventQueue.due`."""
        return self._queue.due(limit, wait=wait)

    def renew(self, leases: Iterable[Lease]) -> None:
        """Prolong ``leases``."""
        for lease in leases:
            self._queue.renew(lease, self.LEASE_TIME)

    def deliver_all(self, *, wait: bool = True) -> int:
        """Deliver all that is due; return of how many documents.

        Args:
            wait: leave documents alone that may still be changing, as their pause says.
        """
        delivered = 0
        while names := self.due(100, wait=wait):
            delivered += sum(map(self.deliver, names))
        return delivered

    def deliver(self, name: str, on_leased: Callable[[Lease], object] = lambda lease: None) -> bool:
        """Deliver the changes of a document, unless another process does; return whether it did.

        If a receiver raises, that is logged, and the changes are delivered again later.
        """
        try:
            lease = self._queue.lease(name, self.LEASE_TIME)
            if lease is None:
                return False
            on_leased(lease)
            return self._deliver_leased(lease, self._queue.events(name))
        except (DatabaseError, InterfaceError) as error:
            # The lease runs out, and then any process delivers them.
            logger.warning(
                "Changes of a document cannot be delivered now (%s).",
                type(error).__name__,
                extra={"room": name},
            )
            close_old_connections()
            return False

    def _deliver_leased(self, lease: Lease, events: Sequence[QueuedEvent]) -> bool:
        try:
            self._call(lease, events)
        except LeaseLost:
            logger.warning(
                "A receiver was stopped for so long that another process has its change.",
                extra={"room": lease.name},
            )
            return False
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # Also one that pycrdt, or sys.exit(), raises: it ends no thread that calls receivers.
            self._fail(lease, events, error)
            return False
        return True

    def _call(self, lease: Lease, events: Sequence[QueuedEvent]) -> None:
        try:
            with self._transaction(lease.name):
                if events:
                    validate_changes(lease.name, events, self._using)
                    call_receivers(lease.name, events)
                self._finish(lease, events)
        except DocumentNotFound:
            if async_to_sync(get_storage().exists)(lease.name):
                raise
            # It was deleted or renamed meanwhile, which is an event of its own.
            self._finish(lease, events)

    def _finish(self, lease: Lease, events: Sequence[QueuedEvent]) -> None:
        with transaction.atomic(self._using, savepoint=False):
            self._queue.finish(lease, events)

    def _transaction(self, name: str) -> AbstractContextManager[Any]:
        resolved = resolve(name)
        is_atomic = resolved is None or resolved.document_type.atomic
        return transaction.atomic(self._using) if is_atomic else nullcontext()

    def _fail(self, lease: Lease, events: Sequence[QueuedEvent], error: BaseException) -> None:
        attempt, kind = lease.attempts + 1, type(error).__name__
        is_last = attempt >= _MAX_ATTEMPTS
        retry_after = min(_FIRST_RETRY * 2**lease.attempts, _LONGEST_RETRY)
        follows = "it is given up" if is_last else f"next attempt in {retry_after:g} s"
        logger.error(
            "A receiver of a changed document failed (attempt %d); %s.",
            attempt,
            follows,
            exc_info=error,
            extra={"room": lease.name},
        )
        if is_last:
            self._queue.give_up(lease, kind, events)
        else:
            self._queue.fail(lease, kind, retry_after)
