"""An outbox in the database: changes of documents that the project has yet to handle.

A storage records an event in the transaction that changes a document, so that a change that is
stored is never forgotten. Later a process leases the document, calls the project, and deletes the
events that it has delivered, in the transaction of the project's own writes. The lease keeps others
away meanwhile, and runs out when the process dies.

Events are rows of their own, only inserted and deleted: two transactions that change the same
document do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet
from django.utils import timezone

from .journal import DocumentEvent, EventKind
from .models import EventLease, QueuedEvent

__all__ = ["LONGEST_LEASE", "EventQueue", "Lease", "LeaseLost", "Pause", "record", "retry"]

#: Seconds of the longest lease.
LONGEST_LEASE = 4 * 3600.0
#: Seconds by which the clocks of processes differ at most. What is further in the future was
#: recorded by a clock that has been set back since.
_MAX_SKEW = 60.0


class Pause(NamedTuple):
    """Seconds to wait after the last change, and after the first one at most."""

    delay: float
    max_delay: float


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to deal with a document's events; ``attempts`` have failed before."""

    name: str
    holder: UUID = field(default_factory=uuid4)
    attempts: int = 0


class LeaseLost(Exception):
    """The lease has run out, and another process may have it."""


def record(
    events: Sequence[DocumentEvent], pause: Callable[[str], Pause], using: str | None = None
) -> None:
    """Record ``events`` in the surrounding transaction; ``pause`` is asked by document.

    Events of a document that is renamed follow it: receivers get them under the new name.
    """
    now, rows = timezone.now(), []
    for event in events:
        if event.kind == EventKind.RENAMED:
            former = QueuedEvent.objects.using(using).filter(name=event.old_name)
            former.update(name=event.name)
        delay, max_delay = pause(event.name)
        rows.append(
            QueuedEvent(
                name=event.name,
                kind=event.kind,
                at=now,
                quiet_at=now + timedelta(seconds=delay),
                latest_at=now + timedelta(seconds=max_delay),
                user_id=event.user_id,
                old_name=event.old_name,
            )
        )
    QueuedEvent.objects.using(using).bulk_create(rows)


def retry(leases: QuerySet[EventLease]) -> None:
    """Make failed deliveries due now; the events of those given up are recorded as a change."""
    now = timezone.now()
    with transaction.atomic(leases.db):
        given_up = leases.filter(given_up_at__isnull=False).values_list("name", flat=True)
        events = [DocumentEvent(name, EventKind.CHANGED) for name in given_up]
        record(events, lambda name: Pause(0, 0), leases.db)
        leases.update(until=now)


class EventQueue:
    """The queue of events in the database ``using``."""

    def __init__(self, using: str = DEFAULT_DB_ALIAS) -> None:
        self.using = using
        self._events = QueuedEvent.objects.using(using)
        self._leases = EventLease.objects.using(using)

    def due(self, limit: int, *, wait: bool = True) -> list[str]:
        """Return names of documents with events to deliver, the first to change first.

        Args:
            limit: the largest number of names.
            wait: leave out documents whose pause is not over.
        """
        now = timezone.now()
        leased = self._leases.filter(name=OuterRef("name")).exclude(_is_over(now))
        found = (
            self._events.filter(~Exists(leased))
            .values("name")
            .annotate(
                quiet=Max("quiet_at"), latest=Min("latest_at"), last=Max("at"), first=Min("pk")
            )
        )
        if wait:
            is_ahead = Q(last__gt=now + timedelta(seconds=_MAX_SKEW))
            found = found.filter(Q(quiet__lte=now) | Q(latest__lte=now) | is_ahead)
        return list(found.order_by("first").values_list("name", flat=True)[:limit])

    def lease(self, name: str, seconds: float) -> Lease | None:
        """Return the right to deal with a document for that long, unless another has it."""
        now, holder = timezone.now(), uuid4()
        until = now + timedelta(seconds=seconds)
        mine = self._leases.filter(name=name, holder=holder)
        over = self._leases.filter(_is_over(now), name=name)
        if not over.update(holder=holder, until=until):
            row = EventLease(name=name, holder=holder, until=until)
            self._leases.bulk_create([row], ignore_conflicts=True)
        found = mine.values_list("attempts", "given_up_at").first()
        if found is None:
            return None
        attempts, given_up_at = found
        return Lease(name, holder, 0 if given_up_at else attempts)

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Prolong a lease; return whether it was still held."""
        until = timezone.now() + timedelta(seconds=seconds)
        return bool(self._held(lease).update(until=until))

    def events(self, name: str) -> Sequence[QueuedEvent]:
        """Return the document's events, in the order in which they were recorded."""
        return list(self._events.filter(name=name).order_by("pk"))

    def finish(self, lease: Lease, events: Iterable[QueuedEvent]) -> None:
        """Delete ``events`` and the lease, in the surrounding transaction.

        Raises:
            LeaseLost: another process may have dealt with them.
        """
        if not self._held(lease).delete()[0]:
            raise LeaseLost(lease.name)
        self._events.filter(pk__in=[event.pk for event in events]).delete()

    def fail(self, lease: Lease, error: str, retry_after: float) -> None:
        """Keep the events, and lease them to no process for ``retry_after`` seconds."""
        if not self._events.filter(name=lease.name).exists():
            # They have followed a document that was renamed meanwhile.
            self._held(lease).delete()
            return
        until = timezone.now() + timedelta(seconds=retry_after)
        self._held(lease).update(
            until=until, attempts=lease.attempts + 1, error=error, given_up_at=None
        )

    def give_up(self, lease: Lease, error: str, events: Iterable[QueuedEvent]) -> None:
        """Delete ``events``, which have failed too often, and keep ``error`` for people."""
        now = timezone.now()
        with transaction.atomic(self.using):
            self._events.filter(pk__in=[event.pk for event in events]).delete()
            self._held(lease).update(
                until=now, attempts=lease.attempts + 1, error=error, given_up_at=now
            )

    def _held(self, lease: Lease) -> QuerySet[EventLease]:
        return self._leases.filter(name=lease.name, holder=lease.holder)


def _is_over(now: datetime) -> Q:
    """Return the condition for leases that have run out."""
    longest = timedelta(seconds=LONGEST_LEASE + _MAX_SKEW)
    return Q(until__lte=now) | Q(until__gt=now + longest)
