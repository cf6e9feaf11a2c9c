"""Private copies of documents: loaded with what members have just typed, edited, and stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pycrdt import Doc, TransactionEvent

from collab.conf import get_storage
from collab.engine.hub.current import in_all_hubs, live_hubs
from collab.engine.relay.messages import order
from collab.engine.relay.publisher import publish
from collab.protocol.yjs.updates import EMPTY_UPDATE, apply, merge
from collab_storage.base import LogEntry, check_name
from collab_storage.compaction import read_in_process

__all__ = [
    "load_copy",
    "new_entry",
    "on_commit",
    "recording_updates",
    "store_update",
    "unsaved_updates",
    "user_key",
]


async def load_copy(room_name: str, doc: Doc[Any]) -> bool:
    """Fill the empty ``doc`` with a document; False if nothing of that name is stored.

    Raises:
        DocumentCorrupt: what is stored cannot be read.
    """
    # What waits to be stored is taken first: it may get stored while the rest is loaded.
    unsaved = unsaved_updates(room_name)
    loaded = await get_storage().load(room_name)
    if loaded is not None:
        content = await read_in_process(loaded, room_name)
        doc.apply_update(content.update)
        if content.rest != EMPTY_UPDATE:
            # It builds upon what is not stored yet.
            unsaved.append(content.rest)
    if unsaved:
        apply(doc, merge(unsaved))
    return bool(loaded or unsaved)


@contextmanager
def recording_updates(doc: Doc[Any]) -> Iterator[list[bytes]]:
    """Note the updates that the block makes; a Doc that stays observed is never freed."""
    updates: list[bytes] = []

    def note(event: TransactionEvent) -> None:
        updates.append(event.update)

    subscription = doc.observe(note)
    try:
        yield updates
    finally:
        doc.unobserve(subscription)


async def store_update(
    room_name: str, update: bytes, user: object, *, upon: Sequence[bytes] = ()
) -> None:
    """Store an update and let live rooms have it, once it is committed.

    Args:
        room_name: the document.
        update: of it.
        user: whose change it is.
        upon: what is not stored yet and the update may build upon; stored with it, since it
            would be nothing without if the process died before.
    """
    entries = [new_entry(room_name, update, user_key(user))]
    if upon:
        entries.insert(0, new_entry(room_name, merge(upon), None))
    await get_storage().append(entries)
    await on_commit(partial(_deliver, room_name, update))


def new_entry(room_name: str, update: bytes, user_id: str | None) -> LogEntry:
    """Return an update as the storage takes it."""
    return LogEntry(check_name(room_name), update, datetime.now(UTC), user_id)


def user_key(user: object) -> str | None:
    """Return the primary key of a user as text, or ``None`` for nobody."""
    key = getattr(user, "pk", None)
    return None if key is None else str(key)


def unsaved_updates(room_name: str) -> list[bytes]:
    """Return what members have typed in this process and is not stored yet."""
    return [update for hub in live_hubs() for update in hub.writer.unsaved_updates(room_name)]


async def on_commit(tell: Callable[[], None]) -> None:
    """Call ``tell`` once what the caller has stored is committed."""
    await get_storage().on_commit(tell)


def _deliver(room_name: str, update: bytes) -> None:
    if any(hub.holds(room_name) for hub in live_hubs()):
        # The room tells the other processes, as of any change in it.
        in_all_hubs(lambda hub: hub.deliver(room_name, update))
    else:
        publish(room_name, order(room_name, "deliver", update=update))
