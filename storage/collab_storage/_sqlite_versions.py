"""The versions in the file of :class:`collab_storage.sqlite.SQLiteStorage`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlite_anyio import Connection

from ._sqlite_file import rows_of, time_text, write, write_all
from .exceptions import DocumentNotFound
from .formats import check_formats
from .versions import (
    LoadedVersion,
    Version,
    VersionDraft,
    VersionKind,
    VersionState,
    is_kept,
    is_replaced,
    titled_kind,
)

_COLUMNS = """
    SELECT versions.id, at, title, authors, kind, edits, made_by, restored_from, versions.digest,
        (SELECT length(data) FROM states
         WHERE states.document_id = documents.id AND states.digest = versions.digest)
    FROM versions JOIN documents ON documents.id = document_id
"""
_LIST = f"""
    {_COLUMNS}
    WHERE name = :name AND at >= :since AND at < :before AND (title != '' OR NOT :named)
    ORDER BY versions.id DESC LIMIT :limit
"""
_ONE = f"{_COLUMNS} WHERE name = :name AND versions.id = :id"
_STATE = """
    SELECT states.digest, data, insertions, deletions, base, states.format
    FROM states JOIN documents ON documents.id = document_id WHERE name = ? AND digest = ?
"""
_INSERT_STATE = """
    INSERT OR IGNORE INTO states (document_id, digest, data, insertions, deletions, base)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_INSERT_VERSION = """
    INSERT INTO versions
        (document_id, digest, at, title, kind, authors, made_by, edits, restored_from)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_REPLACE_VERSION = """
    UPDATE versions SET kind = ?, title = ?, made_by = ?, restored_from = ? WHERE id = ?
"""
_DELETE_VERSION = """
    DELETE FROM versions
    WHERE id = ? AND document_id = (SELECT id FROM documents WHERE name = ?)
"""
_DELETE_STATES = """
    DELETE FROM states WHERE document_id = (SELECT id FROM documents WHERE name = ?)
    AND digest NOT IN (SELECT digest FROM versions v WHERE v.document_id = states.document_id)
    AND digest NOT IN (
        SELECT base FROM states s WHERE s.document_id = states.document_id AND base IS NOT NULL
    )
"""
#: Before and after all times that are stored.
_EVER, _NEVER = "", "~"


async def add_version(db: Connection, name: str, draft: VersionDraft) -> Version:
    """Add a version, or find that the newest does for it."""
    document = await rows_of(db, "SELECT id FROM documents WHERE name = ?", name)
    if not document:
        raise DocumentNotFound(name)
    newest = next(iter(await read_versions(db, name, limit=1)), None)
    if newest is not None and is_kept(newest, draft):
        return newest
    if newest is not None and is_replaced(newest, draft):
        values = draft.kind, draft.title, draft.made_by, draft.restored_from, newest.id
        await write(db, _REPLACE_VERSION, *values)
    else:
        await _insert(db, document[0][0], await _total(db, name, newest), draft)
    return (await read_versions(db, name, limit=1))[0]


async def _total(db: Connection, name: str, newest: Version | None) -> int:
    state = None if newest is None else await _state(db, name, newest.digest)
    return 0 if state is None else state.total


async def _insert(db: Connection, document: int, before: int, draft: VersionDraft) -> None:
    state = draft.state
    values = state.digest, state.data, state.insertions, state.deletions, state.base
    await write(db, _INSERT_STATE, document, *values)
    await write(
        db,
        _INSERT_VERSION,
        document,
        state.digest,
        time_text(draft.at),
        draft.title,
        draft.kind,
        json.dumps([*draft.by]),
        draft.made_by,
        max(state.total - before, 0),
        draft.restored_from,
    )


async def read_versions(
    db: Connection,
    name: str,
    *,
    since: datetime | None = None,
    before: datetime | None = None,
    named: bool = False,
    limit: int | None = None,
) -> list[Version]:
    """Return versions, the newest first."""
    rows = await rows_of(
        db,
        _LIST,
        name=name,
        since=_EVER if since is None else time_text(since),
        before=_NEVER if before is None else time_text(before),
        named=named,
        limit=-1 if limit is None else limit,
    )
    return [_version(*row) for row in rows]


def _version(id: int, at: str, title: str, by: str, kind: str, *rest: Any) -> Version:
    times = datetime.fromisoformat(at)
    return Version(id, times, title, tuple(json.loads(by)), VersionKind(kind), *rest)


async def load_version(db: Connection, name: str, id: int) -> LoadedVersion | None:
    """Return a version with its state."""
    for row in await rows_of(db, _ONE, name=name, id=id):
        version = _version(*row)
        states = [await _state(db, name, version.digest)]
        if states[0].base is not None:
            states.insert(0, await _state(db, name, states[0].base))
        return LoadedVersion(version, states)
    return None


async def _state(db: Connection, name: str, digest: bytes) -> VersionState:
    [[*values, format]] = await rows_of(db, _STATE, name, digest)
    check_formats(name, format, [])
    return VersionState(*values)


async def title_version(db: Connection, name: str, id: int, title: str) -> bool:
    """Give a version a title."""
    for row in await rows_of(db, _ONE, name=name, id=id):
        kind = titled_kind(_version(*row).kind, title)
        await write(db, "UPDATE versions SET title = ?, kind = ? WHERE id = ?", title, kind, id)
        return True
    return False


async def delete_versions(db: Connection, name: str, ids: Iterable[int]) -> int:
    """Delete versions, and states that are not needed any more."""
    before = len(await read_versions(db, name))
    await write_all(db, _DELETE_VERSION, ((id, name) for id in ids))
    # First those that are based on others.
    for _ in range(2):
        await write(db, _DELETE_STATES, name)
    return before - len(await read_versions(db, name))
