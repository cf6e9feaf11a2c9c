"""The states of versions as bytes: one compressed update, or the difference to another state."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from hashlib import blake2b

from collab.history.present import Present
from collab_storage.subdocuments import temporary_doc
from collab_storage.surrogates import as_yjs
from collab_storage.updates import (
    Deletions,
    deletions,
    encode_state_vector,
    merge,
    state_vector,
    varuint,
)
from collab_storage.versions import VersionState

__all__ = ["decode", "encode", "encode_present", "unpacked_size"]

#: A difference has to be smaller than this part of the state, or the state is stored whole. Each
#: difference is to the last whole state, so that they grow; see ``bench versions``.
_WORTH = 0.25
_DIGEST_SIZE = 20
#: Bytes of a state that are unpacked to find out whether it is large.
_MEASURED = 256 * 1024


def encode_present(present: Present, base: Sequence[VersionState] = ()) -> VersionState:
    """See :func:`encode`."""
    return encode(present.update, base)


def encode(update: bytes, base: Sequence[VersionState] = ()) -> VersionState:
    """Encode the part of ``update`` that a Doc integrates.

    Args:
        update: the state as one update.
        base: a state of the same document with those that it is based on, if there is one.
    """
    with temporary_doc(update) as doc:
        known, deleted = state_vector(doc.get_state()), deletions(doc)
        digest = _digest(known, deleted)
        if base and base[-1].digest == digest:
            return base[-1]
        data, based_on = zlib.compress(doc.get_update()), None
        if base:
            difference = zlib.compress(doc.get_update(_state(base[0])))
            if len(difference) < len(data) * _WORTH:
                data, based_on = difference, base[0].digest
    return VersionState(
        digest,
        data,
        insertions=sum(known.values()),
        deletions=sum(end - start for ranges in deleted.values() for start, end in ranges),
        base=based_on,
    )


def decode(states: Sequence[VersionState]) -> bytes:
    """Return a state, which comes with those that it is based on, as one update."""
    return merge(as_yjs([zlib.decompress(state.data) for state in states]))


def unpacked_size(states: Sequence[VersionState]) -> int:
    """Return the bytes of states when they are unpacked; of each, not all are counted."""
    return sum(len(zlib.decompressobj().decompress(each.data, _MEASURED)) for each in states)


def _state(base: VersionState) -> bytes:
    with temporary_doc(zlib.decompress(base.data)) as doc:
        return doc.get_state()


def _digest(known: dict[int, int], deleted: Deletions) -> bytes:
    """Return the same for equal states only: of one document they have one origin."""
    ranges = [
        varuint(number)
        for client in sorted(deleted)
        for span in deleted[client]
        for number in (client, *span)
    ]
    content = [encode_state_vector(dict(sorted(known.items()))), *ranges]
    return blake2b(b"".join(content), digest_size=_DIGEST_SIZE).digest()
