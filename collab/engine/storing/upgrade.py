"""Changes a stored document once to the structure that a new version of its type expects.

The document says itself which version it has, in a root of its own. The change and the new version
are stored together, as a new snapshot, and a storage accepts only one new snapshot of a document
that was loaded: of any number of processes that open it, one changes it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pycrdt import Doc, Map

from collab.engine.rules import DocumentRules
from collab.protocol.yjs.updates import apply, merge, recording_updates
from collab_storage.base import Storage, StoredDocument
from collab_storage.compaction import ReadableContent, read_in_process
from collab_storage.journal import DocumentEvent, EventKind, arecord
from collab_storage.subdocuments import temporary_doc
from collab_storage.surrogates import as_yjs

__all__ = ["UpgradedDocument", "mark_version", "needs_upgrade", "upgrade_stored"]

#: The root with the version, and its key there.
_ROOT, _KEY = "__collab__", "version"


class UpgradedDocument(NamedTuple):
    """A stored document of the present version, and its content."""

    stored: StoredDocument
    content: ReadableContent


def mark_version(doc: Doc[Any], rules: DocumentRules | None) -> None:
    """Record in a new document that it is of the present version, if its type has one."""
    if rules is not None and rules.version is not None:
        doc.get(_ROOT, type=Map)[_KEY] = rules.version


def needs_upgrade(doc: Doc[Any], rules: DocumentRules | None) -> bool:
    """Return whether the stored document in ``doc`` is older than its type."""
    return rules is not None and rules.version is not None and _version(doc) < rules.version


async def upgrade_stored(
    storage: Storage, name: str, rules: DocumentRules
) -> UpgradedDocument | None:
    """Change a stored document to the present version, unless that is done already; return it.

    ``None`` if none of that name is stored.

    Raises:
        DocumentCorrupt: pycrdt cannot read it.
        Exception: the type's ``upgrade()`` has failed; the document stays as it is.
    """
    while (stored := await storage.load(name)) is not None:
        content = await read_in_process(stored, name)
        update = await _upgrade(content, rules)
        if update is None:
            return UpgradedDocument(stored, content)
        snapshot = merge([*as_yjs(content.read.updates), update])
        # Twice, as the process may be killed in between, and receivers may be fast.
        await _record(name)
        if await storage.replace(name, content.read, snapshot):
            await _record(name)
    return None


async def _upgrade(content: ReadableContent, rules: DocumentRules) -> bytes | None:
    """Return the update that upgrades a document; ``None`` if it is of the present version."""
    with temporary_doc() as doc:
        apply(doc, content.update)
        if not needs_upgrade(doc, rules):
            return None
        with recording_updates(doc) as updates:
            await rules.upgrade(doc, _version(doc))
            mark_version(doc, rules)
        return merge(updates)


async def _record(name: str) -> None:
    await arecord([DocumentEvent(name, EventKind.CHANGED)])


def _version(doc: Doc[Any]) -> int:
    version = doc.get(_ROOT, type=Map).get(_KEY)
    # Numbers of Yjs are floats, and a client may write anything there.
    return int(version) if isinstance(version, int | float) else 0
