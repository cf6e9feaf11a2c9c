"""The rights of a user to the versions of a document, for all ways to them (I12)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from collab.access import Access
from collab.documents.hooks.calling import call_hook
from collab.documents.registry import resolve
from collab.history.exceptions import VersionNotFound
from collab.history.keeping.operations import load
from collab_storage.versions import Version

__all__ = ["VersionRights", "read_id", "rights_of", "visible_version"]

#: Digits of an id in a query; Python refuses to read thousands.
_MAX_DIGITS = 100


class VersionRights(NamedTuple):
    """The rights of a user to the versions of a document.

    Args:
        since: time of the first version that the user may see; ``None`` for all.
        can_restore: whether the user may make, name, restore and delete versions.
    """

    since: datetime | None
    can_restore: bool


async def rights_of(name: str, user: Any, access: Access | None) -> VersionRights:
    """Return the rights that a document's type gives; all rights if it has no type.

    Args:
        name: the document.
        user: who asks.
        access: of the user to the document, as its type says.
    """
    resolved = resolve(name)
    if resolved is None:
        return VersionRights(None, can_restore=True)
    document_type, parameters = resolved
    since = await call_hook(document_type.versions_since, user, **parameters)
    can_restore = access == Access.WRITE and await call_hook(
        document_type.can_restore, user, **parameters
    )
    return VersionRights(since, bool(can_restore))


async def visible_version(name: str, id: int, rights: VersionRights) -> Version:
    """Return a version that the user with these rights may see.

    Raises:
        VersionNotFound: there is none, or it is of an earlier time.
    """
    version = (await load(name, id)).version
    if rights.since is not None and version.at < rights.since:
        raise VersionNotFound(f"There is no version {id} of the document {name!r}.")
    return version


def read_id(text: str) -> int | None:
    """Return the id of a version that a query has, or ``None`` if it is not valid."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if is_number else None
