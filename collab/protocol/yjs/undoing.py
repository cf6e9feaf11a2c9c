"""Forward edits that take a document back to an earlier content."""

from __future__ import annotations

from pycrdt import Text, UndoManager

from collab.protocol.yjs.updates import recording_updates
from collab_storage.subdocuments import temporary_doc
from collab_storage.updates import EMPTY_UPDATE, merge

__all__ = ["undoing"]

_LATER = "later"


def undoing(then: bytes, now: bytes) -> bytes:
    """Return the update that takes a document from state ``now`` to the content of ``then``.

    It adds to the document and takes nothing back, so it merges with other edits.
    """
    with temporary_doc(then) as doc, temporary_doc(now) as present:
        # The types of roots are not known, and need not be: an item is undone in any.
        scopes = [doc.get(root, type=Text) for root in sorted({*present.keys(), *doc.keys()})]
        undo = UndoManager(scopes=list(scopes), capture_timeout_millis=0)
        undo.include_origin(_LATER)
        with doc.transaction(origin=_LATER):
            doc.apply_update(present.get_update(doc.get_state()))
        with recording_updates(doc) as updates:
            while undo.can_undo():
                undo.undo()
        return merge(updates or [EMPTY_UPDATE])
