"""Editing, deleting and renaming documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from pycrdt import Doc

from collab.conf import get_storage
from collab.documents.policy import ensure_seeded, load_seeded
from collab.engine.hub.current import in_all_hubs
from collab.engine.hub.working_copies import (
    blocking,
    loaded_user,
    on_commit,
    store_update,
    unsaved_entries,
    unsaved_updates,
)
from collab.engine.relay.messages import order
from collab.engine.relay.publisher import publish
from collab.protocol.yjs.updates import apply, check, merge, recording_updates
from collab_storage.base import DocumentId
from collab_storage.subdocuments import temporary_doc

__all__ = [
    "adelete",
    "aedit",
    "arename",
    "asend_doc_update",
    "delete",
    "edit",
    "rename",
    "rename_watchers",
    "send_doc_update",
]

#: Called with the old and the new name of each document that is renamed, in that transaction.
rename_watchers: list[Callable[[str, str], None]] = []


# Changing.


async def asend_doc_update(room_name: str, update: bytes, *, user: object = None) -> None:
    """Add a Yjs update to a document, which is made if there is none.

    Args:
        room_name: the document.
        update: Yjs update bytes (format 1).
        user: whose change it is, for the log.

    Raises:
        ValueError: ``update`` is not a Yjs update.
    """
    try:
        with temporary_doc() as doc:
            apply(doc, check(update))
    except Exception as error:
        raise ValueError("Not a Yjs update that can be applied.") from error
    await ensure_seeded(room_name)
    await store_update(room_name, update, user)


@asynccontextmanager
async def aedit(room_name: str, user: object = None) -> AsyncIterator[Doc[Any]]:
    """Edit a document: all changes of the Doc in the block are one update.

    The Doc is a private copy; members see the change when the block has ended. If the block
    raises, nothing is changed.

    Args:
        room_name: the document, made, and seeded as its type says, if there is none.
        user: whose change it is, for the log.

    Raises:
        DocumentNotFound: the document was deleted while the block ran.
    """
    with temporary_doc() as doc:
        loaded = await load_seeded(room_name, doc)
        with recording_updates(doc) as updates:
            yield doc
    await _finish(room_name, updates, user, loaded)


@contextmanager
def edit(room_name: str, user: object = None) -> Iterator[Doc[Any]]:
    """See :func:`aedit`."""
    with temporary_doc() as doc:
        loaded = async_to_sync(load_seeded)(room_name, doc)
        with recording_updates(doc) as updates:
            yield doc
    async_to_sync(_finish)(room_name, updates, loaded_user(user), loaded)


async def adelete(room_name: str) -> bool:
    """Delete a document and close its room; False if there was none.

    A client that still has the document would bring it back by reconnecting: refuse it in
    ``authorize()``.
    """
    typed = bool(unsaved_updates(room_name))
    deleted = await get_storage().delete(room_name)
    await on_commit(partial(_discard, room_name, None, typed))
    return deleted or typed


async def arename(old: str, new: str) -> None:
    """Give a document another name; members of the old room are sent away.

    Raises:
        DocumentNotFound: there is no ``old``.
        DocumentExists: ``new`` is taken.
    """
    storage = get_storage()
    if (unsaved := unsaved_entries(old)) and not await storage.exists(old):
        # It has been typed a moment ago.
        await storage.append(unsaved)
    await storage.rename(old, new)
    await on_commit(partial(_discard, old, new, bool(unsaved)))
    for watch in rename_watchers:
        await sync_to_async(watch)(old, new)


# How it works.


async def _finish(
    room_name: str, updates: list[bytes], user: object, loaded: DocumentId | bool
) -> None:
    if updates:
        upon = unsaved_entries(room_name)
        await store_update(room_name, merge(updates), user, upon=upon, to=loaded)


def _discard(room_name: str, moved_to: str | None, had_unsaved: bool) -> None:
    in_all_hubs(lambda hub: hub.discard(room_name, moved_to, had_unsaved=had_unsaved))
    publish(room_name, order(room_name, "discard", moved_to=moved_to))


# The twins for synchronous code.
delete = blocking(adelete)
rename = blocking(arename)
send_doc_update = blocking(asend_doc_update)
