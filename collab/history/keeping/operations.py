"""Making, reading, naming, restoring and deleting versions of documents."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pycrdt import Doc

from collab.engine.hub.identity import user_key
from collab.engine.hub.working_copies import (
    blocking,
    deliver_on_commit,
    new_entry,
)
from collab.history.authorship.authors import attributed, load_present, shares
from collab.history.exceptions import InvalidTitle, VersionNotFound
from collab.history.jobs import run_history_job
from collab.history.keeping.restoring import restoration
from collab.history.keeping.states import decode, encode_present
from collab.history.present import Present
from collab.history.storage import history_storage
from collab_storage.base import LogEntry
from collab_storage.exceptions import BaseNotFound
from collab_storage.versions import (
    MAX_TITLE_LENGTH,
    HistoryStorage,
    LoadedVersion,
    Version,
    VersionChoice,
    VersionDraft,
    VersionKind,
    VersionState,
)

__all__ = [
    "acreate",
    "adelete",
    "aread",
    "arename",
    "arestore",
    "aversions",
    "check_title",
    "create",
    "delete",
    "keep",
    "load",
    "read",
    "rename",
    "restore",
    "versions",
    "with_a_base",
]

_MAX_ID = 2**63 - 1
#: Databases refuse zeros, and halves of letters.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


async def aversions(
    name: str,
    *,
    since: datetime | None = None,
    before: datetime | None = None,
    named: bool = False,
    limit: int | None = None,
) -> Sequence[Version]:
    """Return the versions of a document, the newest first; see ``VersionChoice``."""
    choice = VersionChoice(since=since, before=before, named=named, limit=limit)
    return await history_storage().versions(name, choice)


async def acreate(name: str, title: str = "", *, user: object = None) -> Version:
    """Make a version of a document as it is now.

    Args:
        name: the document.
        title: of the version. Without one, it is an automatic version, which retention may delete
            and which is not added if the newest version has this state.
        user: who makes it.

    Raises:
        DocumentNotFound: nothing of that name is stored.
        InvalidTitle: the title cannot be stored.
    """
    kind = VersionKind.NAMED if title else VersionKind.AUTO
    return await keep(name, kind, title=check_title(title), user=user)


def check_title(title: object) -> str:
    """Return the title of a version.

    Raises:
        InvalidTitle: it cannot be stored.
    """
    if isinstance(title, str) and len(title) <= MAX_TITLE_LENGTH and not _UNSTORABLE.search(title):
        return title
    raise InvalidTitle(
        f"The title must be a text of at most {MAX_TITLE_LENGTH} characters, without NUL and halves"
        " of surrogate pairs."
    )


async def with_a_base(add: Callable[[], Awaitable[Version]]) -> Version:
    """Return the version that ``add`` adds.

    It is called again if the state that the version is based on was deleted in the meantime.
    """
    while True:
        try:
            return await add()
        except BaseNotFound:
            continue


async def keep(name: str, kind: VersionKind, *, title: str = "", user: object = None) -> Version:
    """Make a version of some kind of a document as it is now; see :func:`acreate`."""
    return await with_a_base(partial(_keep, name, kind, title, user_key(user)))


async def _keep(name: str, kind: VersionKind, title: str, user: str | None) -> Version:
    storage = history_storage()
    present, _ = await _present(storage, name)
    newest = await _newest(storage, name)
    state = await run_history_job(present.size, encode_present, present, _states(newest))
    by = await _authors_since(name, newest)
    draft = VersionDraft(datetime.now(UTC), state, kind, title, user, by)
    return await storage.add_version(name, draft)


async def _present(storage: HistoryStorage, name: str) -> tuple[Present, list[LogEntry]]:
    """Return a document, which is stored then, and the updates of members that are not yet."""
    present, unsaved = await load_present(name)
    if unsaved and not await storage.exists(name):
        # It has been typed a moment ago.
        await storage.append(unsaved)
    return present, unsaved


async def _newest(storage: HistoryStorage, name: str) -> LoadedVersion | None:
    for version in await storage.versions(name, VersionChoice(limit=1)):
        return await storage.load_version(name, version.id)
    return None


def _states(version: LoadedVersion | None) -> Sequence[VersionState]:
    return [] if version is None else version.states


async def _authors_since(name: str, newest: LoadedVersion | None) -> list[str]:
    """Return the users who have changed a document since its newest version."""
    since = None if newest is None else newest.version.at
    found = shares((await attributed(name)).authorship, since, None)
    return sorted(user for user in found if user is not None)


async def load(name: str, id: int) -> LoadedVersion:
    """Return a version with its state.

    Raises:
        VersionNotFound: the document has no such version.
    """
    # Not all databases can look for a larger number.
    is_possible = 0 < id <= _MAX_ID
    loaded = await history_storage().load_version(name, id) if is_possible else None
    if loaded is None:
        raise VersionNotFound(f"There is no version {id} of the document {name!r}.")
    return loaded


async def aread(name: str, id: int) -> Doc[Any]:
    """Return a private copy of a document as it was in a version.

    Raises:
        VersionNotFound: the document has no such version.
    """
    states = (await load(name, id)).states
    update = await run_history_job(sum(len(state.data) for state in states), decode, states)
    doc = Doc[Any]()
    doc.apply_update(update)
    return doc


async def arestore(name: str, id: int, *, user: object = None) -> Version:
    """Make the content of a document equal to that of a version.

    Members see it as an edit. Their own edits elsewhere in the document stay.

    Args:
        name: the document.
        id: the version.
        user: who restores it.

    Returns:
        The version of the content before, which undoes this when it is restored.

    Raises:
        DocumentNotFound: nothing of that name is stored, or the document was deleted meanwhile.
        VersionNotFound: the document has no such version.
    """
    return await with_a_base(partial(_restore, name, id, user_key(user)))


async def _restore(name: str, id: int, user: str | None) -> Version:
    storage = history_storage()
    present, unsaved = await _present(storage, name)
    wanted, newest = (await load(name, id)).states, await _newest(storage, name)
    before, update = await run_history_job(
        present.size, restoration, present, wanted, _states(newest)
    )
    by, at = await _authors_since(name, newest), datetime.now(UTC)
    draft = VersionDraft(at, before, VersionKind.RESTORE, "", user, by, id)
    if not update:
        return await storage.add_version(name, draft)
    entry = new_entry(name, update, user)._replace(document_id=present.stored.id)
    version = await storage.add_version(name, draft, [*unsaved, entry])
    await deliver_on_commit(name, update)
    return version


async def arename(name: str, id: int, title: str) -> None:
    """Give a version a title, or with ``""`` none.

    Raises:
        InvalidTitle: the title cannot be stored.
        VersionNotFound: the document has no such version.
    """
    if not await history_storage().title_version(name, id, check_title(title)):
        raise VersionNotFound(f"There is no version {id} of the document {name!r}.")


async def adelete(name: str, id: int) -> None:
    """Delete a version.

    Raises:
        VersionNotFound: the document has no such version.
    """
    if not await history_storage().delete_versions(name, [id]):
        raise VersionNotFound(f"There is no version {id} of the document {name!r}.")


# The twins for synchronous code.
create = blocking(acreate)
delete = blocking(adelete)
read = blocking(aread)
rename = blocking(arename)
restore = blocking(arestore)
versions = blocking(aversions)
