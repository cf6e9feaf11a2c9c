"""Restoring a version: a forward edit that makes the content equal to the version's.

The edit is the undoing, on a private copy of the version, of all that came later. It adds to the
document and takes nothing back, so it merges with edits that members make meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

from collab.history.keeping.split_letters import whole_letters
from collab.history.keeping.states import decode, encode
from collab.history.present import Present
from collab.protocol.yjs.undoing import undoing
from collab_storage.surrogates import as_yjs
from collab_storage.updates import EMPTY_UPDATE, merge
from collab_storage.versions import VersionState

__all__ = ["restoration"]


def restoration(
    present: Present, wanted: Sequence[VersionState], base: Sequence[VersionState]
) -> tuple[VersionState, bytes]:
    """Return the present state, and the update that makes its content that of a version.

    The update is ``b""`` if nothing changes.

    Args:
        present: the document.
        wanted: the version's state.
        base: for the state of the present; see :func:`collab.history.keeping.states.encode`.
    """
    now = present.update
    before = encode(now, base)
    if before.digest == wanted[-1].digest:
        return before, b""
    then = decode(wanted)
    broken_then, broken_now = as_yjs([then, now])
    update = undoing(broken_then, broken_now)
    if broken_then != then:
        update = merge([update, whole_letters(merge([broken_now, update]), then)])
    return before, b"" if update == EMPTY_UPDATE else update
