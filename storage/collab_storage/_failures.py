"""Failures of a Django database, as the storage's own errors."""

from __future__ import annotations

from django.db import Error, InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from .exceptions import DocumentLocked, StorageNotMigrated, StorageUnavailable

__all__ = ["LOCK_TIMEOUT", "drop_if_broken", "is_not_migrated", "translate"]

#: Longest time that the server waits for another transaction's lock on a document, in ms.
LOCK_TIMEOUT = 250

_LOCKED = "55P03"
#: A primary that was demoted refuses writes on connections that outlived its change of role.
_READ_ONLY = "25006"
#: Table or column that does not exist.
_NOT_MIGRATED = {"42P01", "42703"}
_SQLITE_NOT_MIGRATED = ("no such table", "has no column", "no such column")
#: "Program limit exceeded": the database never takes that value.
_TOO_LARGE = "54"


def translate(error: Error, using: str) -> Exception:
    """Return the storage's error for ``error`` of the database ``using``.

    An error that is of the statement or its values, and so of a document, stays as it is.
    """
    state, text = _state(error), f"The database {using!r}: {error}"
    if state == _LOCKED:
        return DocumentLocked(text)
    if is_not_migrated(error):
        return StorageNotMigrated(
            f"Tables of documents are missing or old in the database {using!r}:"
            " run manage.py migrate."
        )
    is_outage = isinstance(error, (OperationalError, InterfaceError))
    if state == _READ_ONLY or (is_outage and not state.startswith(_TOO_LARGE)):
        return StorageUnavailable(text)
    return error


def is_not_migrated(error: BaseException) -> bool:
    """Return whether a statement names a table or a column that does not exist yet."""
    return _state(error) in _NOT_MIGRATED or str(error).startswith(_SQLITE_NOT_MIGRATED)


def drop_if_broken(connection: BaseDatabaseWrapper, error: Error, *, repeated: bool) -> None:
    """Close ``connection``, so that the next verb gets a new one, if ``error`` may be its fault.

    Inside a caller's transaction that is left to Django: closing it would hide from the caller
    that earlier changes are lost as well.
    """
    if connection.in_atomic_block:
        return
    is_outage = isinstance(error, (OperationalError, InterfaceError))
    if (
        repeated
        or _state(error) == _READ_ONLY
        or (is_outage and _state(error) != _LOCKED and not connection.is_usable())
    ):
        connection.close()


def _state(error: BaseException) -> str:
    """Return the SQLSTATE of an error, an empty string where the driver has none."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
