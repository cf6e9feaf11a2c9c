"""The history of a document as JSON, to be kept in a file, and back.

It goes with the whole of the document as an update: the authors of insertions are named by the ids
of these.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from asgiref.sync import async_to_sync

from collab.history.authorship.authors import attributed
from collab.history.exceptions import HistoryError
from collab.history.keeping.operations import check_title, load, versions
from collab.history.keeping.states import decode, encode
from collab.history.storage import history_storage
from collab_storage.authorship import AuthorRange, Authorship, DeletionCount
from collab_storage.compaction import readable_update
from collab_storage.versions import Version, VersionDraft, VersionKind

__all__ = ["export_versions", "import_authors", "import_versions", "rows_of", "wrap_history"]

_FORMAT = 1


def export_versions(name: str, versions: Iterable[Version]) -> Iterator[dict[str, Any]]:
    """Yield versions for JSON.

    Args:
        name: the document.
        versions: all of it, the oldest first.
    """
    places: dict[int, int] = {}
    for version in versions:
        places[version.id] = len(places)
        state = decode(async_to_sync(load)(name, version.id).states)
        yield {
            "at": version.at.isoformat(),
            "title": version.title,
            "kind": version.kind.value,
            "by": [*version.by],
            "made_by": version.made_by,
            "restored_from": places.get(version.restored_from or 0),
            "digest": version.digest.hex(),
            "state": base64.b64encode(zlib.compress(state)).decode(),
        }


def wrap_history(name: str, versions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return exported versions with the authors of a document, for JSON."""
    found = async_to_sync(attributed)(name).authorship
    return {
        "format": _FORMAT,
        "versions": [*versions],
        "ranges": [
            [part.client, part.start, part.end, part.user_id, *_times(part)]
            for part in found.ranges
        ],
        "deletions": [[part.user_id, part.count, *_times(part)] for part in found.deletions],
    }


def rows_of(history: Any) -> Sequence[Any]:
    """Return the versions of a history.

    Raises:
        HistoryError: it is not valid.
    """
    rows = _checked(history).get("versions")
    if not isinstance(rows, list):
        raise HistoryError("The versions of the history are not a list.")
    return rows


def import_versions(name: str, rows: Iterable[Any]) -> None:
    """Add versions that a document does not have yet.

    Args:
        name: the document.
        rows: all versions of a history.

    Raises:
        HistoryError: one is not valid.
    """
    known = {_key(version): version.id for version in versions(name)}
    ids: list[int] = []
    for row in rows:
        draft = _draft(row, ids, versions(name, limit=1), name)
        key = draft.at, draft.state.digest
        if key not in known:
            known[key] = async_to_sync(history_storage().add_version)(name, draft).id
        ids.append(known[key])


def import_authors(name: str, history: Any) -> None:
    """Give the insertions of a document, which has just been imported, their authors.

    Raises:
        HistoryError: it is not valid, or the document has been opened since it was imported.
    """
    wanted = _authorship(_checked(history))
    storage = history_storage()
    while not _are_equal(async_to_sync(storage.authorship)(name), wanted):
        stored = async_to_sync(storage.load)(name)
        rows = [] if stored is None else stored.log
        if stored is None or stored.snapshot is not None or any(row.user_id for row in rows):
            raise HistoryError(
                f"The document {name!r} has authors of its own. Delete it, and import it again."
            )
        async_to_sync(storage.fold)(name, stored, readable_update(stored, name), wanted)


def _are_equal(one: Authorship, other: Authorship) -> bool:
    pairs = (one.ranges, other.ranges), (one.deletions, other.deletions)
    return all([*first] == [*second] for first, second in pairs)


def _key(version: Version) -> tuple[datetime, bytes]:
    return version.at, version.digest


def _times(part: AuthorRange | DeletionCount) -> tuple[str, str]:
    return part.since.isoformat(), part.until.isoformat()


def _checked(history: Any) -> dict[str, Any]:
    """Return a history whose outer form is valid."""
    if not isinstance(history, dict) or history.get("format") != _FORMAT:
        raise HistoryError("This is not a history that collab_export has written.")
    return history


def _draft(
    row: Mapping[str, Any], ids: Sequence[int], newest: Sequence[Version], name: str
) -> VersionDraft:
    """Return a version to add, whose state may be based on the newest one's."""
    base = async_to_sync(load)(name, newest[0].id).states if newest else ()
    try:
        state = encode(zlib.decompress(base64.b64decode(row["state"])), base)
        if state.digest.hex() != row["digest"]:
            raise ValueError("another digest")
        place = row["restored_from"]
        return VersionDraft(
            datetime.fromisoformat(row["at"]),
            state,
            VersionKind(row["kind"]),
            check_title(row["title"]),
            row["made_by"],
            row["by"],
            None if place is None else ids[place],
        )
    except (KeyError, IndexError, TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise HistoryError(f"Version {len(ids)} of the history is not valid: {error}.") from error


def _authorship(history: Mapping[str, Any]) -> Authorship:
    try:
        return Authorship(
            [
                AuthorRange(client, start, end, user, *map(datetime.fromisoformat, times))
                for client, start, end, user, *times in history["ranges"]
            ],
            [
                DeletionCount(user, count, *map(datetime.fromisoformat, times))
                for user, count, *times in history["deletions"]
            ],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise HistoryError(f"The authors of the history are not valid: {error}.") from error
