"""From Django's signals to documents: what a transaction changes is written when it is committed.

Meanwhile only keys are noted, in one :class:`Batch` for each transaction. They are hints: the rows
are read again under the documents' locks, so a note too many costs a little and changes nothing.
That is why notes of a savepoint that is rolled back may stay. The batch lives in the list of
functions that Django calls after the commit and nowhere else, so it goes when the transaction
does; it is in there once for each stack of savepoints that something was noted in, as Django
drops what was registered within a savepoint that is rolled back.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, cast

from django.apps import apps
from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, ManyToManyField, Model, QuerySet, Value
from django.db.models.signals import m2m_changed, post_delete, post_save

from .models import MirroredDocument, MirroredRow
from .options import ModelMirror
from .querysets import rows_changed, rows_created
from .writing import CHUNK, chunks, reconcile, write_rows

__all__ = ["Batch", "connect", "noting"]

logger = logging.getLogger(__name__)

#: Keys of rows, in order, by the mirror's ``map_name``.
Keys = dict[str, dict[str, None]]


def _key(mirror: ModelMirror[Any], instance: Model) -> str:
    """Return the key that a row of a mirror has in the map; ``instance`` may be of a submodel."""
    return _text(mirror, getattr(instance, mirror.model._meta.pk.attname))


def _text(mirror: ModelMirror[Any], pk: Any) -> str:
    # What code has assigned may be "5", or a UUID as text.
    return str(mirror.model._meta.pk.to_python(pk))


@dataclass
class Notes:
    """Which rows have changed."""

    #: All of them whose keys are known.
    keys: Keys = field(default_factory=dict)
    #: Those of them that may be in a document where they were not before, by its name.
    rooms: dict[str, Keys] = field(default_factory=dict)
    #: By mirror and lookup, values: rows that are to be read for the names of their documents.
    unread: dict[tuple[ModelMirror[Any], str], dict[Any, None]] = field(default_factory=dict)
    #: Documents that are to have all of their rows compared.
    whole: set[str] = field(default_factory=set)

    def add(self, mirror: ModelMirror[Any], key: str, room_names: Iterable[str]) -> None:
        """Note a row, and the documents that it is in now."""
        self.keys.setdefault(mirror.map_name, {})[key] = None
        for name in room_names:
            self.rooms.setdefault(name, {}).setdefault(mirror.map_name, {})[key] = None

    def add_unread(self, mirror: ModelMirror[Any], lookup: str, values: Iterable[Any]) -> None:
        """Note the rows that have one of ``values`` by ``lookup`` after the commit.

        By the primary key, those that are gone by then as well.
        """
        self.unread.setdefault((mirror, lookup), {}).update(dict.fromkeys(values))
        if lookup == mirror.model._meta.pk.name:
            for value in values:
                self.add(mirror, _text(mirror, value), ())

    def read(self, using: str) -> None:
        """Find out which documents the unread rows are in."""
        for (mirror, lookup), values in self.unread.items():
            rows = mirror.model._base_manager.using(using)
            for chunk in chunks(values):
                found = rows.filter(**{f"{lookup}__in": chunk})
                for row in found.iterator(chunk_size=CHUNK):
                    self.add(mirror, _key(mirror, row), mirror.get_room_names(row))
        self.unread = {}

    def documents(self) -> dict[str, Keys]:
        """Return what is to be written: the keys for each document that there is."""
        found: dict[str, Keys] = {}
        for name, map_name, key in _find(self.keys, self.rooms.keys() | self.whole):
            keys = found.setdefault(name, {map_: dict(keys) for map_, keys in self._of(name)})
            if map_name:
                keys.setdefault(map_name, {})[key] = None
        return found

    def _of(self, room_name: str) -> Collection[tuple[str, dict[str, None]]]:
        return self.rooms.get(room_name, {}).items()

    def write(self, using: str) -> None:
        """Write the rows into all documents that they are in, or were."""
        self.read(using)
        for room_name, keys in self.documents().items():
            try:
                if room_name in self.whole:
                    reconcile(room_name, create=False)
                else:
                    write_rows(room_name, keys)
            except Exception:
                # The next change of these rows, or the next to open the document, makes up for it.
                logger.exception("Rows could not be written into %r.", room_name)


def _find(keys: Mapping[str, Collection[str]], rooms: Collection[str]) -> Iterator[Any]:
    """Yield name, map and key: of the rows that documents have, and each document in ``rooms``."""
    using = router.db_for_write(MirroredDocument)
    nothing = Value("", output_field=CharField())
    names = MirroredDocument.objects.using(using).annotate(map_name=nothing, key=nothing)
    rows = MirroredRow.objects.using(using)
    selects: list[QuerySet[Any, Any]] = [
        names.filter(name__in=chunk).values_list("name", "map_name", "key")
        for chunk in chunks(rooms)
    ]
    for map_name in keys:
        selects += [
            rows.filter(map_name=map_name, key__in=chunk).values_list(
                "document__name", "map_name", "key"
            )
            for chunk in chunks(keys[map_name])
        ]
    if len(rooms) + sum(len(chunk) for chunk in keys.values()) <= CHUNK:
        selects = [selects[0].union(*selects[1:], all=True)] if selects else []
    for select in selects:
        yield from select


class Batch:
    """What one transaction on the database ``using`` has changed so far."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.notes = Notes()

    def run(self) -> None:
        """Write what was noted into documents; the transaction has been committed."""
        notes, self.notes = self.notes, Notes()
        if self._is_in_another_transaction():
            # What is written there would be lost with it. Elsewhere it can wait for its end.
            Thread(target=_write_elsewhere, args=(notes, self.using), name="collab-mirror").start()
        else:
            notes.write(self.using)

    def _is_in_another_transaction(self) -> bool:
        # If this one is open itself, a test has called us that never commits.
        documents = connections[router.db_for_write(MirroredDocument)]
        return documents.in_atomic_block and not connections[self.using].in_atomic_block


def _write_elsewhere(notes: Notes, using: str) -> None:
    try:
        notes.write(using)
    finally:
        connections.close_all()


@contextmanager
def noting(using: str) -> Iterator[Notes]:
    """Yield what takes notes of the current transaction; if there is none, of the block."""
    connection = connections[using]
    batch, savepoints = _first(connection)
    yield batch.notes
    if savepoints is None or not savepoints <= set(connection.savepoint_ids):
        _register(connection, batch)


def _first(connection: BaseDatabaseWrapper) -> tuple[Batch, set[Any] | None]:
    """Return the transaction's batch and the savepoints that it depends on; ``None``: a new one."""
    for savepoints, function, *_ in connection.run_on_commit[:1]:
        if isinstance(batch := getattr(function, "__self__", None), Batch):
            return batch, savepoints
    return Batch(connection.alias), None


def _register(connection: BaseDatabaseWrapper, batch: Batch) -> None:
    with _manual_transaction(connection):
        transaction.on_commit(batch.run, using=connection.alias, robust=True)
        if connection.in_atomic_block:
            # Before those of others: one that raises keeps Django from calling the rest.
            connection.run_on_commit.insert(0, connection.run_on_commit.pop())


def _manual_transaction(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Return what lets a function be registered if the project has turned autocommit off."""
    if connection.in_atomic_block or connection.get_autocommit():
        return nullcontext()
    return transaction.atomic(connection.alias, savepoint=False)


# Signals.

#: By the class of what is saved: the mirrors whose rows change by that, and how to look them up.
_concerned: dict[type[Model], list[tuple[ModelMirror[Any], str]]] = {}


def connect(mirror: ModelMirror[Any]) -> None:
    """Let a mirror know what is saved and deleted.

    Only of the models concerned: Django deletes in bulk what nobody wants to know of.
    """
    m2m_changed.connect(_m2m_changed)
    for model in apps.get_models():
        if lookup := _lookup(mirror, model):
            _concerned.setdefault(model, []).append((mirror, lookup))
            post_save.connect(_saved, sender=model)
            post_delete.connect(_deleted, sender=model)
            rows_changed.connect(_touched, sender=model)
            rows_created.connect(_created, sender=model)


def _lookup(mirror: ModelMirror[Any], model: type[Model]) -> str | None:
    """Return how to find the rows of a mirror that are, in part, those of ``model``."""
    mirrored = _concrete(mirror)
    if issubclass(model, mirrored):
        return mirrored._meta.pk.name
    return model._meta.pk.name if issubclass(mirrored, model) else None


def _concrete(mirror: ModelMirror[Any]) -> type[Model]:
    return cast("type[Model]", mirror.model._meta.concrete_model)


def _saved(sender: type[Model], instance: Model, raw: bool, using: str, **_: Any) -> None:
    with noting(using) as notes:
        for mirror, lookup in _concerned[sender]:
            if isinstance(instance, mirror.model) and not (raw or _has_expressions(instance)):
                notes.add(mirror, _key(mirror, instance), mirror.get_room_names(instance))
            else:
                notes.add_unread(mirror, lookup, [_pk(instance, lookup)])


def _has_expressions(instance: Model) -> bool:
    """Tell whether values of ``instance`` are only known to the database, as ``F("x") + 1``."""
    return any(hasattr(value, "resolve_expression") for value in vars(instance).values())


def _pk(instance: Model, lookup: str) -> Any:
    return getattr(instance, cast("Any", instance._meta.get_field(lookup)).attname)


def _deleted(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    with noting(using) as notes:
        for mirror, _ in _concerned[sender]:
            # With a row of a parent model goes one of the mirrored model, which is told as well.
            if isinstance(instance, _concrete(mirror)):
                notes.add(mirror, _key(mirror, instance), ())


def _touched(sender: type[Model], keys: Collection[Any], using: str, **kwargs: Any) -> None:
    if keys:
        with noting(using) as notes:
            for mirror, lookup in _concerned.get(sender, ()):
                notes.add_unread(mirror, lookup, keys)


def _created(sender: type[Model], instances: Sequence[Model], using: str, **kwargs: Any) -> None:
    _touched(sender, [row.pk for row in instances if row.pk is not None], using)
    if unknown := [row for row in instances if row.pk is None]:
        with noting(using) as notes:
            for mirror, _ in _concerned[sender]:
                for row in unknown:
                    notes.whole.update(mirror.get_room_names(row))


def _m2m_changed(
    sender: type[Model],
    instance: Model,
    action: str,
    reverse: bool,
    model: type[Model],
    pk_set: Collection[Any] | None,
    using: str,
    **_: Any,
) -> None:
    if action == "pre_clear":
        # Afterwards nobody knows any more.
        _touched(model, _others(sender, instance, reverse, model, using), using)
    elif action.startswith("post_"):
        _touched(type(instance), [instance.pk], using)
        _touched(model, pk_set or (), using)


def _others(
    through: type[Model], instance: Model, reverse: bool, model: type[Model], using: str
) -> Collection[Any]:
    """Return the primary keys of what ``instance`` is related to; empty if nobody wants them."""
    if model not in _concerned:
        return ()
    owner = model if reverse else type(instance)
    relation = next(f for f in owner._meta.many_to_many if f.remote_field.through is through)
    assert isinstance(relation, ManyToManyField)
    ends = relation.m2m_field_name(), relation.m2m_reverse_field_name()
    here, there = reversed(ends) if reverse else ends
    return list(
        through._base_manager.using(using)
        .filter(**{here: instance.pk})
        .values_list(there, flat=True)
    )
