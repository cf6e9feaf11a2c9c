"""From Django's signals to documents: what a transaction changes is written when it is committed.

Meanwhile only keys are noted, in one :class:`Batch` for each transaction. They are hints: the rows
are read again under the documents' locks, so a note too many costs a little and changes nothing.
That is why notes of a savepoint that is rolled back may stay.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from threading import Thread
from typing import Any

from django.apps import apps
from django.db import connections, router
from django.db.models import ManyToManyField, Model, QuerySet
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.dispatch import Signal

from collab.engine.runtime.on_commit import CommitWork, at_commit
from collab.mirror.models import MirroredDocument
from collab.mirror.outgoing.lookup import Known, find
from collab.mirror.outgoing.writing import reconcile, write_rows
from collab.mirror.querysets import CHUNK, chunks, rows_changed, rows_created
from collab.mirror.registry import ModelMirror
from collab.mirror.retry import patiently
from collab.mirror.rows.relations import Path, concrete

__all__ = ["Batch", "connect", "recording_updates"]

logger = logging.getLogger("collab.mirror")

#: Keys of rows, in order, by the mirror's ``map_name``.
Keys = dict[str, dict[str, None]]


@dataclass(frozen=True, slots=True)
class Link:
    """That rows of a mirror change when rows of some model do.

    Args:
        mirror: whose rows.
        model: the other model, or one that it inherits from.
        path: to the rows of the other model; ``None`` if the two are the same, or in part.
        goes_on: by a relation of many to many of the other model.
    """

    mirror: ModelMirror[Any]
    model: type[Model]
    path: Path | None = None
    goes_on: bool = True

    @property
    def shows(self) -> bool:
        """Whether the rows change with each change of the other model's, not only if they go."""
        return self.path is None or self.path.shown or self.path.is_backward

    def may_change_by(self, signal: Signal) -> bool:
        """Whether other rows may be linked once a row of the other model is saved, or deleted."""
        if self.path is None:
            return False
        if signal is pre_save:
            return self.path.is_backward
        return self.path.shown or self.path.outlives

    def rows(self, using: str, keys: Collection[Any]) -> QuerySet[Any]:
        """Return the rows that are linked to those of the other model with these primary keys."""
        rows: QuerySet[Any] = self.mirror.model._base_manager.using(using)
        key = self.model._meta.pk.name
        if self.path is None:
            return rows.filter(**{f"{key}__in": keys})
        return rows.filter(**self.path.leading_to(using, key, keys))

    def rows_now(self, using: str, keys: Collection[Any]) -> Linked:
        """Return the rows that are linked now, as a link of their own and their primary keys."""
        own = Link(self.mirror, concrete(self.mirror.model))
        return own, list(self.rows(using, keys).values_list("pk", flat=True))

    def key(self, instance: Model) -> Any:
        """Return the primary key of an instance of the other model."""
        return getattr(instance, self.model._meta.pk.attname)


#: Some of the rows that a link leads from, by the primary keys of those that it leads to.
Linked = tuple[Link, Collection[Any]]


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
    #: Primary keys at the other end of links: rows to be read for the names of their documents.
    unread: dict[Link, dict[Any, None]] = field(default_factory=dict)
    #: Documents that are to have all of their rows compared.
    whole: set[str] = field(default_factory=set)

    def add(self, mirror: ModelMirror[Any], key: str, room_names: Iterable[str]) -> None:
        """Note a row, and the documents that it is in now."""
        self.keys.setdefault(mirror.map_name, {})[key] = None
        for name in room_names:
            self.rooms.setdefault(name, {}).setdefault(mirror.map_name, {})[key] = None

    def add_linked(self, link: Link, keys: Iterable[Any]) -> None:
        """Note the rows that are linked to others at the end of the transaction."""
        self.unread.setdefault(link, {}).update(dict.fromkeys(keys))
        if link.path is None and link.model is concrete(link.mirror.model):
            # They may be gone by then.
            for key in keys:
                self.add(link.mirror, _text(link.mirror, key), ())

    def read(self, using: str) -> None:
        """Find out which documents the unread rows are in."""
        asked: set[tuple[ModelMirror[Any], str]] = set()
        for link, keys in self.unread.items():
            for chunk in chunks(keys):
                for row in link.rows(using, chunk).iterator(chunk_size=CHUNK):
                    mirror, key = link.mirror, _key(link.mirror, row)
                    # Several links, and several rows, may lead to the same.
                    if (mirror, key) not in asked:
                        asked.add((mirror, key))
                        self.add(mirror, key, mirror.get_room_names(row))
        self.unread = {}

    def documents(self) -> dict[str, Known]:
        """Return what is known of the documents that rows are to be written into."""
        return find(self.keys, self.rooms.keys() | self.whole)

    def keys_in(self, room_name: str, known: Known) -> Keys:
        """Return which rows to write into a document."""
        keys = {name: dict(those) for name, those in self.rooms.get(room_name, {}).items()}
        for map_name, key in known.rows:
            keys.setdefault(map_name, {})[key] = None
        return keys

    def write(self, using: str) -> None:
        """Write the rows into all documents that they are in, or were."""
        patiently(self.read)(using)
        for room_name, known in patiently(self.documents)().items():
            try:
                if room_name in self.whole:
                    reconcile(room_name, create=False)
                else:
                    write_rows(room_name, self.keys_in(room_name, known), known)
            except Exception:
                # The next change of these rows, or the next to open the document, makes up for it.
                logger.exception("Rows could not be written.", extra={"room": room_name})


class Batch(CommitWork):
    """What one transaction has changed so far."""

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self.notes = Notes()

    def run(self) -> None:
        """Write what was noted into documents; the transaction has been committed."""
        notes, using = self.notes, self.using
        self.notes = Notes()
        if self._is_in_another_transaction():
            # What is written there would be lost with it. Elsewhere it can wait for its end.
            Thread(target=_write_elsewhere, args=(notes, using), name="collab-mirror").start()
        else:
            notes.write(using)

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
def recording_updates(using: str) -> Iterator[Notes]:
    """Yield what takes notes of the current transaction; if there is none, of the block."""
    with at_commit(using, Batch) as batch:
        yield batch.notes


# Signals.


_shows = attrgetter("shows")

#: Attribute of an instance between the two signals of its change.
_LINKED = "_collab_mirror_linked"

#: By the class of what is saved or deleted.
_links: dict[type[Model], list[Link]] = {}


def connect(mirror: ModelMirror[Any]) -> None:
    """Let a mirror know what is saved and deleted.

    Only of the models concerned: Django deletes in bulk what nobody wants to know of.
    """
    if any(link.mirror is mirror for link in _links.get(mirror.model, ())):
        return
    m2m_changed.connect(_m2m_changed)
    paths = mirror.paths()
    for model in apps.get_models():
        if (same := _in_common(mirror.model, model)) is not None:
            _link(model, Link(mirror, same))
        for path in paths:
            if (same := _in_common(path.model, model)) is not None:
                _link(model, Link(mirror, same, path, _goes_on(path, paths)))


def _goes_on(path: Path, paths: Iterable[Path]) -> bool:
    return any(
        longer.relation.many_to_many and longer.lookups[:-1] == path.lookups for longer in paths
    )


def _in_common(one: type[Model], other: type[Model]) -> type[Model] | None:
    """Return the model whose rows are those of both in part, if one inherits from the other."""
    one, other = concrete(one), concrete(other)
    if issubclass(other, one):
        return one
    return other if issubclass(one, other) else None


def _link(model: type[Model], link: Link) -> None:
    _links.setdefault(model, []).append(link)
    if link.shows:
        post_save.connect(_saved, sender=model)
        rows_changed.connect(_touched, sender=model)
        rows_created.connect(_created, sender=model)
    if link.may_change_by(pre_save):
        pre_save.connect(_is_about_to_change, sender=model)
    if link.may_change_by(pre_delete):
        pre_delete.connect(_is_about_to_change, sender=model)
    if link.path is None or link.path.shown or link.path.outlives:
        post_delete.connect(_deleted, sender=model)


def _saved(sender: type[Model], instance: Model, raw: bool, using: str, **kwargs: Any) -> None:
    with recording_updates(using) as notes:
        _note_linked(notes, instance)
        for link in filter(_shows, _links[sender]):
            mirror = link.mirror
            if link.path or raw or not _tells_rooms(instance, mirror):
                notes.add_linked(link, [link.key(instance)])
            else:
                notes.add(mirror, _key(mirror, instance), mirror.get_room_names(instance))


def _tells_rooms(instance: Model, mirror: ModelMirror[Any]) -> bool:
    """Tell whether ``instance`` is a row of a mirror with values that are known.

    Only the database knows what becomes of values like ``F("x") + 1``.
    """
    return isinstance(instance, mirror.model) and not any(
        hasattr(value, "resolve_expression") for value in vars(instance).values()
    )


def _deleted(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    with recording_updates(using) as notes:
        _note_linked(notes, instance)
        for link in _links[sender]:
            # With a row of a parent model goes one of the mirrored model, which is told as well.
            if link.path is None and isinstance(instance, concrete(link.mirror.model)):
                notes.add(link.mirror, _key(link.mirror, instance), ())


def _is_about_to_change(
    sender: type[Model], instance: Model, using: str, signal: Signal, **kwargs: Any
) -> None:
    """Remember which rows are linked to ``instance``: afterwards they may be no more."""
    if instance.pk is not None:
        vars(instance)[_LINKED] = [
            link.rows_now(using, [link.key(instance)])
            for link in _links[sender]
            if link.may_change_by(signal)
        ]


def _note_linked(notes: Notes, instance: Model) -> None:
    for link, keys in vars(instance).pop(_LINKED, ()):
        notes.add_linked(link, keys)


def _touched(sender: type[Model], keys: Collection[Any], using: str, **kwargs: Any) -> None:
    if keys:
        with recording_updates(using) as notes:
            for link in filter(_shows, _links[sender]):
                notes.add_linked(link, keys)
                if link.path and link.path.is_backward:
                    for chunk in chunks(keys):
                        notes.add_linked(*link.rows_now(using, chunk))


def _created(sender: type[Model], instances: Sequence[Model], using: str, **kwargs: Any) -> None:
    _touched(sender, [row.pk for row in instances if row.pk is not None], using)
    if unknown := [row for row in instances if row.pk is None]:
        with recording_updates(using) as notes:
            for link in _links[sender]:
                if link.path is None:
                    for row in unknown:
                        notes.whole.update(link.mirror.get_room_names(row))


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
        _related(model, _others(sender, instance, reverse, model, using), using)
    elif action.startswith("post_"):
        _related(type(instance), [instance.pk], using)
        _related(model, pk_set or (), using)


def _related(model: type[Model], keys: Collection[Any], using: str) -> None:
    """Note that rows of ``model`` are related to others than before, by many to many."""
    links = [link for link in _links.get(model, ()) if link.goes_on]
    if keys and links:
        with recording_updates(using) as notes:
            for link in links:
                notes.add_linked(link, keys)


def _others(
    through: type[Model], instance: Model, reverse: bool, model: type[Model], using: str
) -> Collection[Any]:
    """Return the primary keys of what ``instance`` is related to; empty if nobody wants them."""
    if model not in _links:
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
