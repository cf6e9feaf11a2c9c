"""Calls document types in tests, without the pause that they have for people who go on typing."""

from __future__ import annotations

from asgiref.sync import sync_to_async

from collab.documents.changes.deliverer import Deliverer

__all__ = ["adeliver_changes", "deliver_changes"]


def deliver_changes() -> int:
    """Call ``changed()`` and its kin for all changes that are stored; return of how many documents.

    A receiver that raises is logged, as it is in a server, and its document does not count.
    """
    return Deliverer().deliver_all(wait=False)


async def adeliver_changes() -> int:
    """See :func:`deliver_changes`."""
    return await sync_to_async(deliver_changes)()
