"""Signals of documents, for code that knows nothing of their types.

Receivers of ``document_changed`` and the other signals of documents are called like the methods of
a :class:`~collab.documents.DocumentType`: once the change is stored, at least once, by one process,
in a worker thread. The sender is the document's type, or ``None``; each receiver gets ``name``, and
the arguments of the method of that name.

The others are sent by the process that they happen in, right after they happened, and are lost with
it. They get ``name``; ``member_joined`` and ``member_left`` also get ``user`` and ``access``. While
they have no receivers, they cost nothing.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
    "document_changed",
    "document_closed",
    "document_created",
    "document_deleted",
    "document_opened",
    "document_renamed",
    "member_joined",
    "member_left",
]

#: ``change``: a :class:`~collab.documents.changes.change.Change`.
document_created = Signal()
document_changed = Signal()
document_deleted = Signal()
#: ``old``: the name that the document had.
document_renamed = Signal()

#: A process has loaded a document, or unloaded it.
document_opened = Signal()
document_closed = Signal()
#: A connection has joined a document, or left it.
member_joined = Signal()
member_left = Signal()
