"""Rows that a transaction changes are written into their documents after its commit.

Until then only keys are recorded, in one :class:`ChangedRows` for each transaction. They are hints:
the rows are read again under the documents' locks, so a key too many costs a little and changes
nothing. Therefore keys of a savepoint that is rolled back may stay.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from copy import copy
from threading import Thread
from typing import Any

from django.db import connections, router
from django.db.models import Model

from collab.engine.runtime.on_commit import CommitWork
from collab.mirror.models import MirroredDocument
from collab.mirror.outgoing.backlog import write, write_alone
from collab.mirror.outgoing.lookup import DocumentRows, find
from collab.mirror.registry import ModelMirror
from collab.mirror.retry import patiently
from collab.mirror.row_signals import Dependency, Follower, RowAction, RowEvent, follow
from collab.mirror.rows.relations import concrete
from collab_storage.chunks import CHUNK, chunks
from collab_storage.exceptions import StorageNotMigrated

__all__ = ["ChangedRows", "MirrorFollower", "connect"]

logger = logging.getLogger("collab.mirror")

#: Keys of rows, in order, by the mirror's ``map_name``.
Keys = dict[str, dict[str, None]]


class ChangedRows(CommitWork):
    """The rows that one transaction has changed."""

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self._clear()

    def _clear(self) -> None:
        #: All of them whose keys are known.
        self.keys: Keys = {}
        #: The rows that may be new to a document, by its name.
        self.rooms: dict[str, Keys] = {}
        #: Primary keys at the other end of dependencies, whose rows are read for their documents.
        self.unread: dict[Dependency, dict[Any, None]] = {}
        #: Documents in which all rows are compared.
        self.whole: set[str] = set()

    def add(self, mirror: ModelMirror[Any], key: str, room_names: Iterable[str] = ()) -> None:
        """Record a row, and the documents that it is in now."""
        self.keys.setdefault(mirror.map_name, {})[key] = None
        for name in room_names:
            self.rooms.setdefault(name, {}).setdefault(mirror.map_name, {})[key] = None

    def add_linked(
        self, mirror: ModelMirror[Any], dependency: Dependency, keys: Iterable[Any]
    ) -> None:
        """Record the rows that are linked to others at the end of the transaction."""
        self.unread.setdefault(dependency, {}).update(dict.fromkeys(keys))
        if dependency.path is None and dependency.model is concrete(mirror.model):
            # They may be gone by then.
            for key in keys:
                self.add(mirror, _text(mirror, key))

    def run(self) -> None:
        """Write the rows into all documents that they are in, or were."""
        documents = connections[router.db_for_write(MirroredDocument)]
        if documents.in_atomic_block and not connections[self.using].in_atomic_block:
            # Rows written in another transaction would be lost with it. If this one is open
            # itself, a test has called that never commits.
            Thread(target=copy(self).write_elsewhere, name="collab-mirror").start()
        else:
            self.write()
        self._clear()

    def write_elsewhere(self) -> None:
        """Write the rows in a thread of their own."""
        try:
            self.write()
        finally:
            connections.close_all()

    def write(self) -> None:
        """Write the rows; a document that fails is logged, and does not hold up the others."""
        try:
            patiently(self._read)()
            if (row := self._only_row()) is not None and write_alone(*row):
                return
            documents = patiently(find)(self.keys, self.rooms.keys() | self.whole)
        except StorageNotMigrated as error:
            logger.error("Rows could not be written into documents: %s", error)
            return
        for room_name, found in documents.items():
            is_whole = room_name in self.whole
            write(room_name, None if is_whole else self._keys_in(room_name, found), found)

    def _only_row(self) -> tuple[str, str, str] | None:
        """Return the document, map name and key of the only row, if there is but one."""
        rows = [(name, key) for name, keys in self.keys.items() for key in keys]
        if len(rows) != 1 or len(self.rooms) != 1 or self.whole:
            return None
        ((room_name, _),) = self.rooms.items()
        return room_name, *rows[0]

    def _read(self) -> None:
        """Read unread rows for the names of their documents."""
        asked: set[tuple[ModelMirror[Any], str]] = set()
        for dependency, keys in self.unread.items():
            assert isinstance(dependency.follower, MirrorFollower)
            mirror = dependency.follower.mirror
            for chunk in chunks(keys):
                for row in dependency.rows(self.using, chunk).iterator(chunk_size=CHUNK):
                    # Several dependencies, and several rows, may lead to the same.
                    if (found := (mirror, _key(mirror, row))) not in asked:
                        asked.add(found)
                        self.add(*found, mirror.get_room_names(row))
        self.unread = {}

    def _keys_in(self, room_name: str, found: DocumentRows) -> Keys:
        keys = {name: dict(those) for name, those in self.rooms.get(room_name, {}).items()}
        for map_name, key in found.rows:
            keys.setdefault(map_name, {})[key] = None
        return keys


class MirrorFollower(Follower):
    """Follows the rows of a mirror, and those that their values come from."""

    work = ChangedRows

    def __init__(self, mirror: ModelMirror[Any]) -> None:
        self.mirror = mirror
        self.model = mirror.model
        self.paths = mirror.paths()
        #: The mirrored rows themselves.
        self._own = Dependency(self, concrete(mirror.model))

    def record(self, work: ChangedRows, event: RowEvent) -> None:
        """Record the rows that change, or may change, with ``event``."""
        mirror, dependency = self.mirror, event.dependency
        if event.before:
            work.add_linked(mirror, self._own, event.before)
        if event.action is RowAction.DELETE:
            if dependency.path is None:
                work.add(mirror, _key(mirror, event.instances[0]))
        elif dependency.path is None and event.action is RowAction.SAVE and self._has_values(event):
            (row,) = event.instances
            work.add(mirror, _key(mirror, row), mirror.get_room_names(row))
        else:
            work.add_linked(mirror, dependency, event.keys)
        if dependency.path is None and event.action is RowAction.CREATE:
            for row in event.instances:
                if row.pk is None:
                    work.whole.update(mirror.get_room_names(row))

    def _has_values(self, event: RowEvent) -> bool:
        # Only the database knows the outcome of values like ``F("x") + 1``.
        return any(
            isinstance(row, self.model)
            and not any(hasattr(value, "resolve_expression") for value in vars(row).values())
            for row in event.instances
        )


def connect(mirror: ModelMirror[Any]) -> None:
    """Write the rows of a mirror into documents when they are saved or deleted."""
    if mirror not in _connected:
        _connected.append(mirror)
        follow(MirrorFollower(mirror))


_connected: list[ModelMirror[Any]] = []


def _key(mirror: ModelMirror[Any], instance: Model) -> str:
    """Return the key that a row of a mirror has in the map; ``instance`` may be of a submodel."""
    return _text(mirror, getattr(instance, mirror.model._meta.pk.attname))


def _text(mirror: ModelMirror[Any], pk: Any) -> str:
    # Code may have assigned "5", or a UUID as text.
    return str(mirror.model._meta.pk.to_python(pk))
