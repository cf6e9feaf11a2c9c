"""Calls after a change of a document: methods of its type, and signals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction

from collab import signals
from collab.documents.changes.change import Change
from collab.documents.document_type import has_hooks
from collab.documents.registry import ResolvedName, resolve
from collab_storage.journal import EventKind
from collab_storage.models import QueuedEvent

__all__ = ["call_receivers", "has_receivers", "is_tracked"]


def has_receivers() -> bool:
    """Return whether any signal of documents has receivers."""
    # Written out: this is asked for each document of a batch that is stored.
    return bool(
        signals.document_changed.receivers
        or signals.document_created.receivers
        or signals.document_deleted.receivers
        or signals.document_renamed.receivers
    )


def is_tracked(name: str) -> bool:
    """Return whether a change of the document ``name`` has receivers."""
    if has_receivers():
        return True
    resolved = resolve(name)
    return resolved is not None and has_hooks(type(resolved.document_type))


def call_receivers(name: str, events: Sequence[QueuedEvent]) -> None:
    """Call the methods of the document's type, then the signals' receivers, for ``events``.

    A document that was deleted and not made again has not changed, as far as receivers learn.
    """
    resolved = resolve(name)
    kinds = {EventKind(event.kind) for event in events}
    for event in events:
        if event.kind == EventKind.RENAMED:
            _call(resolved, "renamed", signals.document_renamed, name, old=event.old_name)
    if events[-1].kind == EventKind.DELETED:
        _call(resolved, "deleted", signals.document_deleted, name)
        return
    change = _change(name, resolved, events)
    if EventKind.CREATED in kinds:
        _call(resolved, "created", signals.document_created, name, change=change)
    if EventKind.CHANGED in kinds:
        _call(resolved, "changed", signals.document_changed, name, change=change)


def _change(name: str, resolved: ResolvedName | None, events: Sequence[QueuedEvent]) -> Change:
    users = dict.fromkeys(event.user_id for event in events if event.user_id is not None)
    if resolved is None:
        return Change(name, {}, list(users), events[0].at)
    document_type, parameters = resolved
    schema, field = document_type.content, document_type.content_field
    return Change(name, parameters, list(users), events[0].at, schema, field)


def _call(
    resolved: ResolvedName | None, hook: str, signal: Any, name: str, **arguments: Any
) -> None:
    sender = None
    if resolved is not None:
        sender = type(resolved.document_type)
        _run(getattr(resolved.document_type, hook), **arguments, **resolved.parameters)
    signal.send(sender=sender, name=name, **arguments)


def _run(method: Callable[..., Any], **arguments: Any) -> None:
    (async_to_sync(method) if iscoroutinefunction(method) else method)(**arguments)
