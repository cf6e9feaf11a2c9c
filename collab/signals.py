"""Signals of documents, for code that knows nothing of their types.

Receivers are called like the methods of a :class:`~collab.documents.DocumentType`: once the change
is stored, at least once, by one process, in a worker thread. The sender is the document's type, or
``None``; each receiver gets ``name``, and what the method of that name gets.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["document_changed", "document_created", "document_deleted", "document_renamed"]

#: ``change``: a :class:`~collab.documents.changes.change.Change`.
document_created = Signal()
document_changed = Signal()
document_deleted = Signal()
#: ``old``: the name that the document had.
document_renamed = Signal()
