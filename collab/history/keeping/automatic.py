"""Automatic versions: as the policy of a document's type has it, never while members wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from collab.conf import get_storage
from collab.documents import History, type_of
from collab.documents.contents import rewrite_watchers
from collab.engine.hub.working_copies import blocking
from collab.engine.storing.document_store import rest_watchers
from collab.exceptions import DocumentNotFound
from collab.history.keeping.operations import keep
from collab.history.keeping.retention import surplus
from collab.history.storage import history_storage
from collab_storage.versions import HistoryStorage, VersionChoice, VersionKind

__all__ = [
    "aprune",
    "keep_at_rest",
    "keep_before",
    "policy_of",
    "prune",
    "start_keeping",
]


def start_keeping() -> None:
    """Make versions of documents at rest, and before their content is replaced."""
    if keep_at_rest not in rest_watchers:
        rest_watchers.append(keep_at_rest)
        rewrite_watchers.append(_keep_before_rewrite)


def policy_of(name: str) -> History | None:
    """Return the policy of a document's type, if it has one that the storage can follow."""
    document_type = type_of(name)
    if document_type is None or not isinstance(get_storage(), HistoryStorage):
        return None
    return document_type.history


async def keep_at_rest(name: str) -> None:
    """Make a version if the policy says so and the document has changed; thin out the others."""
    policy = policy_of(name)
    if policy is None:
        return
    newest = await history_storage().versions(name, VersionChoice(limit=1))
    # Far in the future, it is of a clock that has been set back since.
    if newest and abs(datetime.now(UTC) - newest[0].at) < timedelta(seconds=policy.every):
        return
    try:
        await keep(name, VersionKind.AUTO)
    except DocumentNotFound:
        # It was deleted, or is empty and was never stored.
        return
    await aprune(name, policy)


async def keep_before(name: str, kind: VersionKind, user: object = None) -> None:
    """Make a version of a document, if it is stored and has a policy, before it is rewritten."""
    if policy_of(name) is not None:
        try:
            await keep(name, kind, user=user)
        except DocumentNotFound:
            return


async def _keep_before_rewrite(name: str, user: object) -> None:
    await keep_before(name, VersionKind.REPLACE, user)


async def aprune(name: str, policy: History | None = None) -> int:
    """Delete the versions of a document that a policy does not keep; return their number.

    Args:
        name: the document.
        policy: by default that of the document's type; without one, nothing is deleted.
    """
    policy = policy or policy_of(name)
    if policy is None:
        return 0
    storage = history_storage()
    ids = surplus(await storage.versions(name), policy, datetime.now(UTC))
    return await storage.delete_versions(name, ids) if ids else 0


# The twins for synchronous code.
prune = blocking(aprune)
