"""Queues events, and lets this process deliver them if it serves documents."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.apps import apps
from django.db import transaction

from collab.documents.changes.dispatcher import dispatcher
from collab.documents.changes.receivers import has_receivers, is_tracked
from collab.documents.document_type import DocumentType, has_hooks
from collab.documents.registry import registrations, resolve
from collab.engine.hub.current import end_services
from collab.engine.hub.loader import room_watchers
from collab_storage.event_queue import Pause, record
from collab_storage.journal import DocumentEvent, Recorder, journal

__all__ = ["start_delivering", "start_recording"]


def start_recording() -> None:
    """Record from now on all events that a type or a signal's receiver wants.

    Calling it again changes nothing: Django calls ``ready()`` again in tests that override
    ``INSTALLED_APPS``.
    """
    recorder = Recorder(is_tracked, _record)
    if recorder not in journal:
        journal.append(recorder)
        room_watchers.append(_serve)
        end_services.append(dispatcher.stop)


def start_delivering() -> None:
    """Deliver changes in this process from now on, if any has receivers."""
    types = [type(registration.document_type) for registration in registrations()]
    if apps.is_installed("collab_storage") and (has_receivers() or any(map(has_hooks, types))):
        dispatcher.start()


async def _serve(name: str) -> None:
    """Deliver changes in this process from the first document on that has a receiver."""
    if is_tracked(name):
        dispatcher.start()


def _record(events: Sequence[DocumentEvent], using: str | None) -> None:
    record(events, _pause, using)
    delay = min(_pause(event.name).delay for event in events)
    transaction.on_commit(partial(dispatcher.look_within, delay), using, robust=True)


def _pause(name: str) -> Pause:
    resolved = resolve(name)
    document_type = DocumentType if resolved is None else resolved.document_type
    return Pause(document_type.change_delay, document_type.change_max_delay)
