"""Errors of the storage::

    StorageError
     ├── DocumentNotFound
     ├── DocumentExists
     ├── InvalidName
     ├── DocumentCorrupt
     ├── BaseNotFound
     └── StorageUnavailable
          ├── DocumentLocked
          └── StorageNotMigrated

Errors of a driver are translated where the driver is called, with the driver's error as the
cause.
"""

from __future__ import annotations

__all__ = [
    "BaseNotFound",
    "DocumentCorrupt",
    "DocumentExists",
    "DocumentLocked",
    "DocumentNotFound",
    "InvalidName",
    "StorageError",
    "StorageNotMigrated",
    "StorageUnavailable",
]


class StorageError(Exception):
    """The storage refused the operation."""


class DocumentNotFound(StorageError):
    """No document of that name, or of the id that an entry asks for, is stored."""


class DocumentExists(StorageError):
    """A document of that name is stored already."""


class InvalidName(StorageError):
    """A document's name has 1 to 255 characters, none of them NUL or half of a surrogate pair."""


class DocumentCorrupt(StorageError):
    """The stored document is not readable as Yjs updates."""


class BaseNotFound(StorageError):
    """The state that a version's state is based on is not stored any more."""


class StorageUnavailable(StorageError):
    """The storage cannot be reached now; the same call may succeed later."""


class DocumentLocked(StorageUnavailable):
    """Another transaction holds the document; the same call may succeed once it has ended."""


class StorageNotMigrated(StorageUnavailable):
    """The storage's tables are missing or old: run manage.py migrate."""
