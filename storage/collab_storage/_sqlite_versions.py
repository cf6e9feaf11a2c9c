"""The versions in the file of :class:`collab_storage.sqlite.SQLiteStorage`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlite_anyio import Connection

from ._sqlite_file import rows_of, time_text, write, write_all
from .authorship import AuthorRange, Authorship, DeletionCount
from .base import new_version
from .exceptions import BaseNotFound, DocumentNotFound
from .formats import check_formats
from .versions import (
    ALL_VERSIONS,
    LoadedVersion,
    Version,
    VersionChoice,
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
_HAS_STATE = "SELECT 1 FROM states WHERE document_id = ? AND digest = ?"
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
_INSERT_RANGE = """
    INSERT INTO author_ranges (document_id, client, first, last, user_id, since, until)
    SELECT id, ?, ?, ?, ?, ?, ? FROM documents WHERE name = ?
"""
_INSERT_COUNT = """
    INSERT INTO deletion_counts (document_id, user_id, count, since, until)
    SELECT id, ?, ?, ?, ? FROM documents WHERE name = ?
"""
_RANGES = """
    SELECT client, first, last, user_id, since, until
    FROM author_ranges JOIN documents ON documents.id = document_id
    WHERE name = ? ORDER BY author_ranges.rowid
"""
_COUNTS = """
    SELECT user_id, count, since, until
    FROM deletion_counts JOIN documents ON documents.id = document_id
    WHERE name = ? ORDER BY deletion_counts.rowid
"""
#: Documents that a user has a part in, and the tables with that user's key.
_OF_USER = """
    SELECT document_id FROM updates WHERE user_id = :user
    UNION SELECT document_id FROM author_ranges WHERE user_id = :user
    UNION SELECT document_id FROM deletion_counts WHERE user_id = :user
    UNION SELECT document_id FROM versions WHERE made_by = :user
    UNION SELECT document_id FROM versions, json_each(authors) WHERE value = :user
"""
_FORGET = [
    "UPDATE updates SET user_id = NULL WHERE user_id = ?",
    "UPDATE author_ranges SET user_id = NULL WHERE user_id = ?",
    "UPDATE deletion_counts SET user_id = NULL WHERE user_id = ?",
    "UPDATE versions SET made_by = NULL WHERE made_by = ?",
    """
    UPDATE versions SET authors = (
        SELECT json_group_array(value) FROM json_each(versions.authors) WHERE value != ?1
    ) WHERE EXISTS (SELECT 1 FROM json_each(versions.authors) WHERE value = ?1)
    """,
]
_NEWEST = VersionChoice(limit=1)
#: Before and after all times that are stored.
_EVER, _NEVER = "", "~"


async def add_version(db: Connection, name: str, draft: VersionDraft) -> Version:
    """Add a version, or find that the newest does for it."""
    document = await rows_of(db, "SELECT id FROM documents WHERE name = ?", name)
    if not document:
        raise DocumentNotFound(name)
    newest = next(iter(await read_versions(db, name, _NEWEST)), None)
    if newest is not None and is_kept(newest, draft):
        return newest
    if newest is not None and is_replaced(newest, draft):
        values = draft.kind, draft.title, draft.made_by, draft.restored_from, newest.id
        await write(db, _REPLACE_VERSION, *values)
    else:
        await _insert(db, document[0][0], await _total(db, name, newest), draft)
    return (await read_versions(db, name, _NEWEST))[0]


async def _total(db: Connection, name: str, newest: Version | None) -> int:
    state = None if newest is None else await _state(db, name, newest.digest)
    return 0 if state is None else state.total


async def _insert(db: Connection, document: int, before: int, draft: VersionDraft) -> None:
    state = draft.state
    values = state.digest, state.data, state.insertions, state.deletions, state.base
    is_new = await write(db, _INSERT_STATE, document, *values)
    if is_new and state.base and not await rows_of(db, _HAS_STATE, document, state.base):
        raise BaseNotFound(state.base.hex())
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
    db: Connection, name: str, choice: VersionChoice = ALL_VERSIONS
) -> list[Version]:
    """Return versions, the newest first."""
    rows = await rows_of(
        db,
        _LIST,
        name=name,
        since=_EVER if choice.since is None else time_text(choice.since),
        before=_NEVER if choice.before is None else time_text(choice.before),
        named=choice.named,
        limit=-1 if choice.limit is None else choice.limit,
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


async def add_authorship(db: Connection, name: str, authorship: Authorship) -> None:
    """Add contributions to those of a document."""
    ranges = (
        (each.client, each.start, each.end, each.user_id, *_times(each), name)
        for each in authorship.ranges
    )
    await write_all(db, _INSERT_RANGE, ranges)
    counts = ((each.user_id, each.count, *_times(each), name) for each in authorship.deletions)
    await write_all(db, _INSERT_COUNT, counts)


def _times(part: AuthorRange | DeletionCount) -> tuple[str, str]:
    return time_text(part.since), time_text(part.until)


async def read_authorship(db: Connection, name: str) -> Authorship:
    """Return the contributions to a document."""
    parse = datetime.fromisoformat
    return Authorship(
        [AuthorRange(*r[:4], *map(parse, r[4:])) for r in await rows_of(db, _RANGES, name)],
        [DeletionCount(*r[:2], *map(parse, r[2:])) for r in await rows_of(db, _COUNTS, name)],
    )


async def forget_user(db: Connection, user_id: str) -> int:
    """Remove a user's key everywhere; return the number of documents that had it."""
    documents = [id for (id,) in await rows_of(db, _OF_USER, user=user_id)]
    for statement in _FORGET:
        await write(db, statement, user_id)
    # A compaction that has read the key fails.
    changed = ((new_version(), id) for id in documents)
    await write_all(db, "UPDATE documents SET version = ? WHERE id = ?", changed)
    return len(documents)
