"""Documents as other servers have stored them: in a table, or one in each object of a storage."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from posixpath import join
from typing import Any, Protocol

from django.core.files.storage import Storage as FileStorage
from django.core.management.base import CommandError
from django.db import connections

__all__ = [
    "DatabaseTable",
    "LegacyStates",
    "LegacyVersion",
    "Objects",
    "SQLiteTable",
    "TableNames",
    "VersionedObjects",
]

#: A name of a table or column, perhaps with that of its schema.
_IDENTIFIER = re.compile(r"\w+(\.\w+)?")


class LegacyStates(Protocol):
    """A place with documents."""

    def names(self) -> list[str]:
        """Return the names of all documents."""

    def read(self, name: str) -> bytes | str:
        """Return a document's state."""


class TableNames:
    """The names of a table and of its columns.

    Args:
        table: has a row for each document.
        name: column of the documents' names.
        data: column of their states.

    Raises:
        CommandError: one is not a name.
    """

    def __init__(self, table: str, name: str, data: str) -> None:
        for each in (table, name, data):
            if not _IDENTIFIER.fullmatch(each):
                raise CommandError(f"{each!r} is not the name of a table or column.")
        self._table, self._name, self._data = table, name, data

    @property
    def list_query(self) -> str:
        """The query for all names."""
        return f"SELECT {self._name} FROM {self._table} ORDER BY {self._name}"

    def read_query(self, parameter: str) -> str:
        """Return the query for the state of one document."""
        return f"SELECT {self._data} FROM {self._table} WHERE {self._name} = {parameter}"


class SQLiteTable:
    """A table of a SQLite file, which is only read.

    Args:
        path: of the file.
        table: of the documents.

    Raises:
        CommandError: there is no such file.
    """

    def __init__(self, path: str, table: TableNames) -> None:
        if not Path(path).is_file():
            raise CommandError(f"There is no file {path}.")
        self._uri = f"{Path(path).resolve().as_uri()}?mode=ro"
        self._table = table

    def names(self) -> list[str]:
        """Return the names of all documents."""
        return [name for (name,) in self._rows(self._table.list_query)]

    def read(self, name: str) -> bytes | str:
        """Return a document's state."""
        ((data,),) = self._rows(self._table.read_query("?"), name)
        return data if isinstance(data, str) else bytes(data)

    def _rows(self, query: str, *parameters: str) -> list[Any]:
        try:
            with closing(sqlite3.connect(self._uri, uri=True)) as connection:
                return connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise CommandError(f"The SQLite file cannot be read: {error}.") from error


class DatabaseTable:
    """A table of one of the project's databases.

    Args:
        alias: of the database, in ``DATABASES``.
        table: of the documents.
    """

    def __init__(self, alias: str, table: TableNames) -> None:
        self._alias = alias
        self._table = table

    def names(self) -> list[str]:
        """Return the names of all documents."""
        return [name for (name,) in self._rows(self._table.list_query)]

    def read(self, name: str) -> bytes | str:
        """Return a document's state."""
        ((data,),) = self._rows(self._table.read_query("%s"), name)
        return data if isinstance(data, str) else bytes(data)

    def _rows(self, query: str, *parameters: str) -> list[Any]:
        with connections[self._alias].cursor() as cursor:
            cursor.execute(query, parameters)
            rows: list[Any] = cursor.fetchall()
            return rows


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


@dataclass(frozen=True, slots=True)
class LegacyVersion:
    """A version of an object.

    Args:
        at: when it was written.
        object: of the client of S3.
    """

    at: datetime
    object: Any

    def read(self) -> bytes:
        """Return the document's state in it."""
        data: bytes = self.object.get()["Body"].read()
        return data


class VersionedObjects(Objects):
    """A bucket of S3 that is a storage of django-storages, with all versions of its objects."""

    _storage: Any

    def versions(self, name: str) -> list[LegacyVersion]:
        """Return the versions of a document, the oldest first; deletions are none."""
        key = join(self._storage.location, f"{name}{self._suffix}")
        found = self._storage.bucket.object_versions.filter(Prefix=key)
        # Deletions have no size.
        versions = [
            LegacyVersion(each.last_modified, each)
            for each in found
            if each.object_key == key and each.size is not None
        ]
        # They are listed with the newest first, and have no times below a second.
        newest_first = sorted(versions, key=lambda version: version.at, reverse=True)
        return newest_first[::-1]

    def _paths(self, directory: str) -> Iterator[str]:
        """List the bucket a thousand objects at a time, rather than a folder at a time."""
        location = join(self._storage.location, "")
        for each in self._storage.bucket.objects.filter(Prefix=location):
            yield each.key.removeprefix(location)
