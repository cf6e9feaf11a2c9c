"""Calls of document types in tests, without the pause after the last change."""

from __future__ import annotations

from asgiref.sync import sync_to_async

from collab.documents.changes.deliverer import Deliverer

__all__ = ["adeliver_changes", "deliver_changes"]


def deliver_changes() -> int:
    """Call ``changed()`` and the other handlers for all stored changes.

    Returns the number of documents. A receiver that raises is logged, as in a server, and its
    document does not count.
    """
    return Deliverer().deliver_all(wait=False)


async def adeliver_changes() -> int:
    """See :func:`deliver_changes`."""
    return await sync_to_async(deliver_changes)()
