"""The history of documents: versions, which can be read and restored.

Each function has an async twin whose name begins with ``a``. As in :mod:`collab.documents`, they
are part of the surrounding ``transaction.atomic()`` if documents are kept in the project's
database.
"""

from collab.history.automatic import aprune, prune
from collab.history.exceptions import HistoryError, NoHistory, VersionNotFound
from collab.history.operations import (
    acreate,
    adelete,
    aread,
    arename,
    arestore,
    aversions,
    create,
    delete,
    read,
    rename,
    restore,
    versions,
)
from collab_storage.versions import Version, VersionKind

__all__ = [
    "HistoryError",
    "NoHistory",
    "Version",
    "VersionKind",
    "VersionNotFound",
    "acreate",
    "adelete",
    "aprune",
    "aread",
    "arename",
    "arestore",
    "aversions",
    "create",
    "delete",
    "prune",
    "read",
    "rename",
    "restore",
    "versions",
]
