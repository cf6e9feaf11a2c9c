"""Documents as other servers have stored them: in a table, or one in each object of a storage."""

from __future__ import annotations

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from posixpath import join
from typing import Any, ClassVar, Protocol

from django.core.files.storage import InvalidStorageError, storages
from django.core.files.storage import Storage as FileStorage
from django.core.management.base import CommandError
from django.db import DatabaseError, connections

__all__ = [
    "DatabaseTable",
    "DocumentTable",
    "LegacyStates",
    "Objects",
    "SQLiteTable",
    "VersionedObjects",
    "named_storage",
]

#: A name of a table or column, perhaps with that of its schema.
_IDENTIFIER = re.compile(r"\w+(\.\w+)?")


class LegacyStates(Protocol):
    """A place with documents."""

    def names(self) -> list[str]:
        """Return the names of all documents."""

    def read(self, name: str) -> bytes | str:
        """Return a document's state."""


class DocumentTable(ABC):
    """A table with a row for each document.

    Args:
        table: its name.
        name: column of the documents' names.
        data: column of their states.

    Raises:
        CommandError: one is not a name.
    """

    #: Stands for a parameter of a query.
    _parameter: ClassVar[str]

    def __init__(self, table: str, name: str, data: str) -> None:
        for each in (table, name, data):
            if not _IDENTIFIER.fullmatch(each):
                raise CommandError(f"{each!r} is not the name of a table or column.")
        self._table, self._name, self._data = table, name, data

    def names(self) -> list[str]:
        """Return the names of all documents."""
        query = f"SELECT {self._name} FROM {self._table} ORDER BY {self._name}"
        return [name for (name,) in self._rows(query)]

    def read(self, name: str) -> bytes | str:
        """Return a document's state."""
        query = f"SELECT {self._data} FROM {self._table} WHERE {self._name} = {self._parameter}"
        ((data,),) = self._rows(query, name)
        return data if isinstance(data, str) else bytes(data)

    @abstractmethod
    def _rows(self, query: str, *parameters: str) -> list[Any]:
        """Return the rows that a query finds."""


class SQLiteTable(DocumentTable):
    """A table of a SQLite file, which is only read.

    Args:
        path: of the file.
        names: of the table and its columns.

    Raises:
        CommandError: there is no such file.
    """

    _parameter = "?"

    def __init__(self, path: str, *names: str) -> None:
        super().__init__(*names)
        if not Path(path).is_file():
            raise CommandError(f"There is no file {path}.")
        self._uri = f"{Path(path).resolve().as_uri()}?mode=ro"

    def _rows(self, query: str, *parameters: str) -> list[Any]:
        try:
            with closing(sqlite3.connect(self._uri, uri=True)) as connection:
                return connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise CommandError(f"The SQLite file cannot be read: {error}.") from error


class DatabaseTable(DocumentTable):
    """A table of one of the project's databases.

    Args:
        alias: of the database, in ``DATABASES``.
        names: of the table and its columns.

    Raises:
        CommandError: there is no such database.
    """

    _parameter = "%s"

    def __init__(self, alias: str, *names: str) -> None:
        super().__init__(*names)
        if alias not in connections.databases:
            raise CommandError(f"DATABASES has no {alias!r}.")
        self._alias = alias

    def _rows(self, query: str, *parameters: str) -> list[Any]:
        try:
            with connections[self._alias].cursor() as cursor:
                cursor.execute(query, parameters)
                rows: list[Any] = cursor.fetchall()
        except DatabaseError as error:
            raise CommandError(f"The table {self._table} cannot be read: {error}") from error
        return rows


def named_storage(alias: str) -> FileStorage:
    """Return a storage of ``STORAGES``.

    Raises:
        CommandError: there is no such storage.
    """
    try:
        return storages[alias]
    except InvalidStorageError as error:
        raise CommandError(str(error)) from error


class Objects:
    """A storage of Django, such as a bucket of S3, with an object for each document.

    Args:
        storage: has the objects.
        suffix: with which the objects' paths end, behind the documents' names.
    """

    def __init__(self, storage: FileStorage, suffix: str) -> None:
        self._storage = storage
        self._suffix = suffix

    def names(self) -> list[str]:
        """Return the names of all documents."""
        paths = sorted(self._paths(""))
        return [path.removesuffix(self._suffix) for path in paths if path.endswith(self._suffix)]

    def read(self, name: str) -> bytes | str:
        """Return a document's state."""
        with self._storage.open(f"{name}{self._suffix}") as file:
            data: bytes | str = file.read()
            return data

    def _paths(self, directory: str) -> Iterator[str]:
        directories, files = self._storage.listdir(directory)
        for file in files:
            yield str(PurePosixPath(directory, file))
        for inner in directories:
            yield from self._paths(str(PurePosixPath(directory, inner)))


class VersionedObjects(Objects):
    """A bucket of S3 that is a storage of django-storages, with all versions of its objects."""

    _storage: Any

    def versions(self, name: str) -> list[Any]:
        """Return the versions of a document, the oldest first, as boto3 has them; no deletions."""
        key = join(self._storage.location, f"{name}{self._suffix}")
        found = self._storage.bucket.object_versions.filter(Prefix=key)
        # Deletions have no size.
        versions = [each for each in found if each.object_key == key and each.size is not None]
        # They are listed with the newest first, and have no times below a second.
        newest_first = sorted(versions, key=lambda version: version.last_modified, reverse=True)
        return newest_first[::-1]

    def _paths(self, directory: str) -> Iterator[str]:
        """List the bucket a thousand objects at a time, rather than a folder at a time."""
        location = join(self._storage.location, "")
        for each in self._storage.bucket.objects.filter(Prefix=location):
            yield each.key.removeprefix(location)
