"""The history of documents: versions, which can be read and restored, and authors.

Each function has an async twin whose name begins with ``a``. As in :mod:`collab.documents`, they
are part of the surrounding ``transaction.atomic()`` if documents are kept in the project's
database.
"""

from collab.history.authorship.authors import Share, aauthors, aforget_user, authors, forget_user
from collab.history.authorship.blame import Run, ablame, ablame_html, blame, blame_html
from collab.history.comparing.changes import (
    ChangeKind,
    Comparison,
    ContentChange,
    Piece,
    PieceKind,
)
from collab.history.comparing.operations import adiff, diff
from collab.history.exceptions import HistoryError, InvalidTitle, NoHistory, VersionNotFound
from collab.history.keeping.automatic import aprune, prune
from collab.history.keeping.importing import aimport_version, import_version
from collab.history.keeping.operations import (
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
    "ChangeKind",
    "Comparison",
    "ContentChange",
    "HistoryError",
    "InvalidTitle",
    "NoHistory",
    "Piece",
    "PieceKind",
    "Run",
    "Share",
    "Version",
    "VersionKind",
    "VersionNotFound",
    "aauthors",
    "ablame",
    "ablame_html",
    "acreate",
    "adelete",
    "adiff",
    "aforget_user",
    "aimport_version",
    "aprune",
    "aread",
    "arename",
    "arestore",
    "authors",
    "aversions",
    "blame",
    "blame_html",
    "create",
    "delete",
    "diff",
    "forget_user",
    "import_version",
    "prune",
    "read",
    "rename",
    "restore",
    "versions",
]
