"""Restoring a version: a forward edit that makes the content what it was.

The edit is the undoing, on a private copy of the version, of all that came later. It adds to the
document and takes nothing back, so it merges with what members type meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pycrdt import Text, UndoManager

from collab.history.states import Present, decode, encode
from collab.protocol.yjs.updates import recording_updates
from collab_storage.subdocuments import temporary_doc
from collab_storage.surrogates import as_yjs
from collab_storage.updates import EMPTY_UPDATE, merge
from collab_storage.versions import VersionState

__all__ = ["Restoration", "restoration"]

_LATER = "later"


class Restoration(NamedTuple):
    """The state before a restoration, and the update that restores; ``b""`` if nothing changes."""

    before: VersionState
    update: bytes


def restoration(
    present: Present, wanted: Sequence[VersionState], base: Sequence[VersionState]
) -> Restoration:
    """Return the update that makes the present content that of a version.

    Args:
        present: the document.
        wanted: the version's state.
        base: for the state of the present; see :func:`collab.history.states.encode`.
    """
    now = present.update
    before = encode(now, base)
    if before.digest == wanted[-1].digest:
        return Restoration(before, b"")
    update = undoing(*as_yjs([decode(wanted), now]))
    return Restoration(before, b"" if update == EMPTY_UPDATE else update)


def undoing(then: bytes, now: bytes) -> bytes:
    """Return the update that takes a document from state ``now`` to the content of ``then``."""
    with temporary_doc() as doc, temporary_doc() as present:
        present.apply_update(now)
        doc.apply_update(then)
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
