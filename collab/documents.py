"""Documents for server code: in views, commands, tasks and shells, in any process.

Each function has an async twin whose name begins with ``a``. What they change is stored at
once, seen by live members when it is committed, and part of the surrounding
``transaction.atomic()`` if documents are kept in the project's database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from datetime import UTC, datetime
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from pycrdt import Doc, TransactionEvent

from collab_storage.base import DocumentInfo, LogEntry, check_name
from collab_storage.compaction import apply_stored
from collab_storage.exceptions import DocumentNotFound

from .conf import get_storage
from .hub import Hub, live_hubs
from .outlet import publish
from .relay import order
from .updates import apply, check, merge

__all__ = [
    "adelete",
    "aedit",
    "aexists",
    "alist_documents",
    "aread",
    "arecheck_access",
    "arename",
    "asend_doc_update",
    "delete",
    "edit",
    "exists",
    "list_documents",
    "read",
    "recheck_access",
    "rename",
    "send_doc_update",
]


# Reading.


async def aread(room_name: str) -> Doc[Any]:
    """Return a private copy of a document, with what live members have just typed.

    Raises:
        DocumentNotFound: nothing of that name is stored.
        DocumentCorrupt: what is stored cannot be read.
    """
    doc, found = await _load(room_name)
    if not found:
        raise DocumentNotFound(f"There is no document {room_name!r}.")
    return doc


def read(room_name: str) -> Doc[Any]:
    """See :func:`aread`."""
    return async_to_sync(aread)(room_name)


async def aexists(room_name: str) -> bool:
    """Tell whether a document of that name is stored, or about to be."""
    return bool(_unsaved(room_name)) or await get_storage().exists(room_name)


def exists(room_name: str) -> bool:
    """See :func:`aexists`."""
    return async_to_sync(aexists)(room_name)


async def alist_documents(prefix: str = "") -> AsyncIterator[DocumentInfo]:
    """Iterate over the stored documents whose names start with ``prefix``."""
    async for info in get_storage().documents(prefix):
        yield info


def list_documents(prefix: str = "") -> Iterator[DocumentInfo]:
    """See :func:`alist_documents`."""
    storage, after = get_storage(), ""
    while page := async_to_sync(storage.page)(prefix, after, 500):
        yield from page
        after = page[-1].name


# Changing.


async def asend_doc_update(room_name: str, update: bytes, *, user: object = None) -> None:
    """Add a Yjs update to a document, which is made if there is none.

    Args:
        room_name: the document.
        update: Yjs update bytes (format 1).
        user: whose change it is, for the log.

    Raises:
        ValueError: ``update`` is no Yjs update.
    """
    try:
        apply(Doc(), check(update))
    except Exception as error:
        raise ValueError("That is no Yjs update that can be applied.") from error
    await _store(room_name, update, user)


def send_doc_update(room_name: str, update: bytes, *, user: object = None) -> None:
    """See :func:`asend_doc_update`."""
    async_to_sync(asend_doc_update)(room_name, update, user=user)


@asynccontextmanager
async def aedit(room_name: str, user: object = None) -> AsyncIterator[Doc[Any]]:
    """Edit a document: what the block changes in the Doc that it gets is one update.

    The Doc is a private copy; members see the change when the block has ended. If the block
    raises, nothing is changed.

    Args:
        room_name: the document, made if there is none.
        user: whose change it is, for the log.
    """
    doc, _ = await _load(room_name)
    with _noting(doc) as updates:
        yield doc
    await _finish(room_name, updates, user)


@contextmanager
def edit(room_name: str, user: object = None) -> Iterator[Doc[Any]]:
    """See :func:`aedit`."""
    doc, _ = async_to_sync(_load)(room_name)
    with _noting(doc) as updates:
        yield doc
    async_to_sync(_finish)(room_name, updates, user)


async def adelete(room_name: str) -> bool:
    """Delete a document and close its room; False if there was none.

    A client that still has the document would bring it back by reconnecting: refuse it in
    ``authorize()``.
    """
    typed = bool(_unsaved(room_name))
    deleted = await get_storage().delete(room_name)
    await _on_commit(partial(_discard, room_name, None))
    return deleted or typed


def delete(room_name: str) -> bool:
    """See :func:`adelete`."""
    return async_to_sync(adelete)(room_name)


async def arename(old: str, new: str) -> None:
    """Give a document another name; members of the old room are sent away.

    Raises:
        DocumentNotFound: there is no ``old``.
        DocumentExists: ``new`` is taken.
    """
    storage = get_storage()
    if (unsaved := _unsaved(old)) and not await storage.exists(old):
        # It has been typed a moment ago.
        await storage.append([_entry(old, merge(unsaved), None)])
    await storage.rename(old, new)
    await _on_commit(partial(_discard, old, new))


def rename(old: str, new: str) -> None:
    """See :func:`arename`."""
    async_to_sync(arename)(old, new)


# Access.


async def arecheck_access(room_name: str, user: object = None) -> None:
    """Let the consumers of a room run ``authorize()`` again, of all its members or one user's."""
    user_id = _user_id(user)
    _in_all_hubs(lambda hub: hub.recheck_access(room_name, user_id))
    publish(room_name, order(room_name, "recheck", user=user_id))


def recheck_access(room_name: str, user: object = None) -> None:
    """See :func:`arecheck_access`."""
    async_to_sync(arecheck_access)(room_name, user)


# How it works.


async def _load(room_name: str) -> tuple[Doc[Any], bool]:
    # What waits to be stored is taken first: it may get stored while the rest is loaded.
    unsaved = _unsaved(room_name)
    loaded = await get_storage().load(room_name)
    doc = Doc[Any]()
    if loaded is not None:
        apply_stored(doc, loaded)
    if unsaved:
        apply(doc, merge(unsaved))
    return doc, bool(loaded or unsaved)


@contextmanager
def _noting(doc: Doc[Any]) -> Iterator[list[bytes]]:
    """Note the updates that the block makes; a Doc that stays observed is never freed."""
    updates: list[bytes] = []

    def note(event: TransactionEvent) -> None:
        updates.append(event.update)

    subscription = doc.observe(note)
    try:
        yield updates
    finally:
        doc.unobserve(subscription)


async def _finish(room_name: str, updates: list[bytes], user: object) -> None:
    if updates:
        await _store(room_name, merge(updates), user)


async def _store(room_name: str, update: bytes, user: object) -> None:
    await get_storage().append([_entry(room_name, update, _user_id(user))])
    await _on_commit(partial(_deliver, room_name, update))


def _entry(room_name: str, update: bytes, user_id: str | None) -> LogEntry:
    return LogEntry(check_name(room_name), update, datetime.now(UTC), user_id)


def _user_id(user: object) -> str | None:
    key = getattr(user, "pk", None)
    return None if key is None else str(key)


def _unsaved(room_name: str) -> list[bytes]:
    return [update for hub in live_hubs() for update in hub.writer.unsaved_updates(room_name)]


async def _on_commit(tell: Callable[[], None]) -> None:
    await get_storage().on_commit(tell)


def _deliver(room_name: str, update: bytes) -> None:
    if any(hub.holds(room_name) for hub in live_hubs()):
        # The room tells the other processes, as of any change in it.
        _in_all_hubs(lambda hub: hub.deliver(room_name, update))
    else:
        publish(room_name, order(room_name, "deliver", update=update))


def _discard(room_name: str, moved_to: str | None) -> None:
    _in_all_hubs(lambda hub: hub.discard(room_name, moved_to))
    publish(room_name, order(room_name, "discard", moved_to=moved_to))


def _in_all_hubs(tell: Callable[[Hub], None]) -> None:
    """Call ``tell`` with each hub of the process, in the hub's own thread."""
    for hub in live_hubs():
        # Not in the caller's context: what the hub starts outlives the caller, and with it the
        # thread in which asgiref runs the caller's synchronous code.
        if hub.is_here():
            Context().run(tell, hub)
        else:
            hub.loop.call_soon_threadsafe(tell, hub, context=Context())
