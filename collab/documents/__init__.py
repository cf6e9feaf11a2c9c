"""Documents for server code: in views, commands, tasks and shells, in any process.

Each function has an async twin whose name begins with ``a``. Changes are stored at once,
reach live members when they are committed, and are part of the surrounding
``transaction.atomic()`` if documents are kept in the project's database.
"""

from collab.documents.contents import (
    acontent,
    aedit_text,
    ahtml,
    ajson,
    amarkdown,
    areplace,
    atext,
    content,
    edit_text,
    html,
    json,
    markdown,
    replace,
    text,
)
from collab.documents.document_content import DocumentContent
from collab.documents.document_type import DocumentType, History
from collab.documents.members import (
    PresentUser,
    aclose_members,
    apresent,
    arecheck_access,
    asend_stateless,
    close_members,
    present,
    recheck_access,
    send_stateless,
)
from collab.documents.operations import (
    adelete,
    aedit,
    arename,
    asend_doc_update,
    delete,
    edit,
    rename,
    rename_watchers,
    send_doc_update,
)
from collab.documents.reading import aexists, alist_documents, aread, exists, list_documents, read
from collab.documents.registry import name_of, names, register, type_of

__all__ = [
    "DocumentContent",
    "DocumentType",
    "History",
    "PresentUser",
    "aclose_members",
    "acontent",
    "adelete",
    "aedit",
    "aedit_text",
    "aexists",
    "ahtml",
    "ajson",
    "alist_documents",
    "amarkdown",
    "apresent",
    "aread",
    "arecheck_access",
    "arename",
    "areplace",
    "asend_doc_update",
    "asend_stateless",
    "atext",
    "close_members",
    "content",
    "delete",
    "edit",
    "edit_text",
    "exists",
    "html",
    "json",
    "list_documents",
    "markdown",
    "name_of",
    "names",
    "present",
    "read",
    "recheck_access",
    "register",
    "rename",
    "rename_watchers",
    "replace",
    "send_doc_update",
    "send_stateless",
    "text",
    "type_of",
]
