"""Yjs update bytes: checking, merging, and applying them without trusting them."""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pycrdt import Doc, TransactionEvent, get_state, get_update

from collab.exceptions import ProtocolViolation
from collab.protocol.yjs.poisoned_doc import PoisonedDoc
from collab.protocol.yjs.validation import UpdateOutline, check_structure
from collab_storage import updates as stored_updates
from collab_storage.updates import EMPTY_STATE, EMPTY_UPDATE, is_panic

__all__ = [
    "EMPTY_STATE",
    "EMPTY_UPDATE",
    "apply",
    "check",
    "cut",
    "is_failure",
    "merge",
    "outline",
    "read_state",
    "recording_updates",
    "release",
]

logger = logging.getLogger("collab.updates")


def is_failure(error: BaseException) -> bool:
    """Return whether ``error`` is a failure, and not meant to end the process."""
    return isinstance(error, Exception) or is_panic(error)


def check(update: bytes) -> bytes:
    """Return ``update`` if it can be decoded; it may still be one that cannot be applied.

    Raises:
        ProtocolViolation: it is not a valid Yjs update (format 1).
    """
    return outline(update).update


def read_state(data: bytes | str) -> bytes:
    """Return the update that another server has stored, binary or as base64.

    Raises:
        ValueError: it is neither.
    """
    encoded = data.encode() if isinstance(data, str) else bytes(data)
    with suppress(ProtocolViolation):
        return check(encoded)
    try:
        return check(b64decode(b"".join(encoded.split()), validate=True))
    except (ValueError, ProtocolViolation):
        raise ValueError("Neither a Yjs update (format 1) nor one in base64.") from None


def outline(update: bytes) -> UpdateOutline:
    """Return the outline of ``update``, which can be decoded; see :func:`check`.

    Raises:
        ProtocolViolation: it is not a valid Yjs update (format 1).
    """
    found = check_structure(update)
    if found.typed is not None:
        # Nothing in it is left to pycrdt.
        return found
    try:
        get_state(update)
    except ValueError:
        raise ProtocolViolation("Not a valid Yjs update.") from None
    return found


def merge(updates: Sequence[bytes]) -> bytes:
    """Merge one or more updates into one."""
    return updates[0] if len(updates) == 1 else stored_updates.merge(updates)


def apply(doc: Doc[Any], update: bytes, *, is_private: bool = False) -> None:
    """Apply ``update``. Errors of the project's own observers are logged, not raised.

    Args:
        doc: gets the update.
        update: its bytes.
        is_private: no other code observes ``doc`` or has a transaction of it.

    Raises:
        PoisonedDoc: it could not be applied; ``doc`` is not to be used again.
    """
    try:
        if is_private:
            _apply_natively(doc, update)
        else:
            doc.apply_update(update)
    except ExceptionGroup:
        # pycrdt raises observers' errors after the commit: the update is in the Doc.
        logger.exception("An observer of the document failed.")
    except BaseException as error:
        if is_failure(error):
            raise PoisonedDoc(type(error).__name__) from None
        raise


def _apply_natively(doc: Doc[Any], update: bytes) -> None:
    """Apply ``update`` without the Python part of a transaction, which costs more than the rest."""
    native: Any = doc._doc
    transaction = native.create_transaction()
    try:
        native.apply_update(transaction, update)
        transaction.commit()
    finally:
        transaction.drop()


def cut(update: bytes, state: bytes) -> bytes:
    """Return the part of ``update`` that a document of state vector ``state`` lacks.

    All deletions stay.

    Raises:
        PoisonedDoc: pycrdt cannot compute it.
    """
    try:
        return get_update(update, state)
    except BaseException as error:
        if is_failure(error):
            raise PoisonedDoc(type(error).__name__) from None
        raise


@contextmanager
def recording_updates(doc: Doc[Any]) -> Iterator[list[bytes]]:
    """Record the updates that the block makes; a Doc that stays observed is never freed."""
    updates: list[bytes] = []

    def record(event: TransactionEvent) -> None:
        updates.append(event.update)

    subscription = doc.observe(record)
    try:
        yield updates
    finally:
        doc.unobserve(subscription)


def release(doc: Doc[Any]) -> None:
    """Remove all observers from ``doc``: as long as one is left, pycrdt never frees it.

    Observers of shared types cannot be reached.
    """
    # There is no public list of them.
    for subscription in list(doc._subscriptions):
        doc.unobserve(subscription)
