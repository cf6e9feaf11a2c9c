"""Documents for server code: in views, commands, tasks and shells, in any process.

Each function has an async twin whose name begins with ``a``. What they change is stored at
once, seen by live members when it is committed, and part of the surrounding
``transaction.atomic()`` if documents are kept in the project's database.
"""

from collab.documents.operations import (
    adelete,
    aedit,
    aexists,
    alist_documents,
    aread,
    arecheck_access,
    arename,
    asend_doc_update,
    delete,
    edit,
    exists,
    list_documents,
    read,
    recheck_access,
    rename,
    rename_watchers,
    send_doc_update,
)

__all__ = [
    "adelete",
    "aedit",
    "aexists",
    "alist_documents",
    "aread",
    "arecheck_access",
    "arename",
    "asend_doc_update",
    "delete",
    "edit",
    "exists",
    "list_documents",
    "read",
    "recheck_access",
    "rename",
    "rename_watchers",
    "send_doc_update",
]
