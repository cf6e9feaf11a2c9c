"""Versions of documents that another server has kept."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from collab.engine.hub.working_copies import blocking
from collab.history.jobs import run_history_job
from collab.history.keeping.operations import check_title, with_a_base
from collab.history.keeping.states import encode
from collab.history.storage import history_storage
from collab_storage.versions import LoadedVersion, Version, VersionChoice, VersionDraft, VersionKind

__all__ = ["aimport_version", "import_version"]


async def aimport_version(name: str, state: bytes, at: datetime, *, title: str = "") -> Version:
    """Add a version that another server has kept.

    Versions are added in the order of their times: the newest is the one that was added last.

    Args:
        name: the document.
        state: of the version, as one Yjs update.
        at: when that was the state of the document.
        title: of the version. Without one, it is an automatic version: retention may delete it, and
            it is not added if the newest version has this state.

    Raises:
        DocumentNotFound: nothing of that name is stored.
        InvalidTitle: the title cannot be stored.
        ValueError: the document has a later version.
    """
    return await with_a_base(partial(_import_version, name, state, at, check_title(title)))


async def _import_version(name: str, state: bytes, at: datetime, title: str) -> Version:
    storage = history_storage()
    newest: LoadedVersion | None = None
    for version in await storage.versions(name, VersionChoice(limit=1)):
        if version.at > at:
            raise ValueError(f"The document {name!r} has a later version, of {version.at}.")
        newest = await storage.load_version(name, version.id)
    base = [] if newest is None else newest.states
    encoded = await run_history_job(len(state), encode, state, base)
    kind = VersionKind.NAMED if title else VersionKind.AUTO
    return await storage.add_version(name, VersionDraft(at, encoded, kind, title))


# The twins for synchronous code.
import_version = blocking(aimport_version)
