"""Private copies of documents: loaded with the unsaved updates of members, edited, and stored."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import async_to_sync
from pycrdt import Doc

from collab.conf import get_storage
from collab.engine.hub.current import in_all_hubs, live_hubs
from collab.engine.hub.identity import user_key
from collab.engine.relay.messages import order
from collab.engine.relay.publisher import publish
from collab.engine.rules import rules_of
from collab.engine.storing.upgrade import needs_upgrade, upgrade_stored
from collab.protocol.yjs.updates import EMPTY_UPDATE, apply, merge
from collab_storage.base import DocumentId, LogEntry, check_name
from collab_storage.compaction import read_in_process
from collab_storage.surrogates import as_yjs

__all__ = [
    "blocking",
    "deliver_on_commit",
    "load_copy",
    "loaded_user",
    "new_entry",
    "on_commit",
    "store_update",
    "unsaved_entries",
    "unsaved_updates",
]

P = ParamSpec("P")
T = TypeVar("T")


async def load_copy(room_name: str, doc: Doc[Any]) -> DocumentId | bool:
    """Fill the empty ``doc`` with a document.

    A document that is older than its type is upgraded first.

    Returns:
        The document's id; ``True`` if it has none, as it is not stored yet or the storage has no
        ids; ``False`` if there is no document of that name.

    Raises:
        DocumentCorrupt: the stored document cannot be read.
    """
    found = await _load(room_name, doc)
    rules = rules_of(room_name)
    if found and rules is not None and needs_upgrade(doc, rules):
        await upgrade_stored(get_storage(), room_name, rules)
        # All that the copy lacks is the upgrade.
        await _load(room_name, doc)
    return found


async def _load(room_name: str, doc: Doc[Any]) -> DocumentId | bool:
    # Unsaved updates are read first: they may be stored while the document is loaded.
    unsaved, stored = unsaved_updates(room_name), EMPTY_UPDATE
    loaded = await get_storage().load(room_name)
    if loaded is not None:
        content = await read_in_process(loaded, room_name)
        stored = content.update
        if content.rest != EMPTY_UPDATE:
            # It depends on updates that are not stored yet.
            unsaved.append(content.rest)
    stored, *rest = as_yjs([stored, *unsaved])
    for update in (stored, merge(rest)) if rest else (stored,):
        apply(doc, update)
    if loaded is None or loaded.id is None:
        return bool(loaded or unsaved)
    return loaded.id


async def store_update(
    room_name: str,
    update: bytes,
    user: object,
    *,
    upon: Sequence[LogEntry] = (),
    to: DocumentId | bool = True,
) -> None:
    """Store an update, and deliver it to live rooms once it is committed.

    Args:
        room_name: the document.
        update: of the document.
        user: the author.
        upon: unsaved updates that the update may depend on; stored with it, since it could not be
            integrated without them if the process died before.
        to: as :func:`load_copy` returned it, if the update was made of a copy.

    Raises:
        DocumentNotFound: the document that was copied is deleted.
    """
    entry = new_entry(room_name, update, user_key(user))
    if not isinstance(to, bool):
        entry = entry._replace(document_id=to)
    await get_storage().append([*upon, entry])
    await deliver_on_commit(room_name, update)


async def deliver_on_commit(room_name: str, update: bytes) -> None:
    """Deliver a stored update to live rooms once it is committed."""
    await on_commit(partial(_deliver, room_name, update))


def new_entry(room_name: str, update: bytes, user_id: str | None) -> LogEntry:
    """Return an update as an entry for the storage."""
    return LogEntry(check_name(room_name), update, datetime.now(UTC), user_id)


def loaded_user(user: T) -> T:
    """Return a user that a request loads lazily, loaded, which cannot be done in the event loop."""
    user_key(user)
    return user


def blocking(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return the twin of an async function for synchronous code; its name lacks the ``a``."""

    @wraps(function)
    def twin(*args: P.args, **kwargs: P.kwargs) -> T:
        for value in (*args, *kwargs.values()):
            loaded_user(value)
        return async_to_sync(function)(*args, **kwargs)

    twin.__name__ = twin.__qualname__ = function.__name__.removeprefix("a")
    twin.__doc__ = f"See :func:`{function.__name__}`."
    return twin


def unsaved_updates(room_name: str) -> list[bytes]:
    """Return the updates of members of this process that are not stored yet."""
    return [update for hub in live_hubs() for update in hub.writer.unsaved_updates(room_name)]


def unsaved_entries(room_name: str) -> list[LogEntry]:
    """Return the same as :func:`unsaved_updates`, with their users, for the storage."""
    return [entry for hub in live_hubs() for entry in hub.writer.unsaved_entries(room_name)]


async def on_commit(call: Callable[[], None]) -> None:
    """Call ``call`` once the caller's changes are committed."""
    await get_storage().on_commit(call)


def _deliver(room_name: str, update: bytes) -> None:
    if any(hub.holds(room_name) for hub in live_hubs()):
        # The room publishes it to the other processes, as any change in it.
        in_all_hubs(lambda hub: hub.deliver(room_name, update))
    else:
        publish(room_name, order(room_name, "deliver", update=update))
