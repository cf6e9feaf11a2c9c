"""What transactions change of the rows that somebody watches: told once, after the commit.

Meanwhile only keys are noted. When the transaction is committed the rows are read again, all of a
model at once, and what has become of each is told by what was there before and what is there now:
many saves of a row, by any number of instances, are one change, and what was rolled back is none.

``save()``, ``delete()``, changes of many-to-many relations, and what a ``MirroredManager`` does to
many rows at once are noticed. Of ``update()`` and the like by other managers Django says nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, cast

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save
from django.dispatch import Signal

from collab.engine.runtime.on_commit import CommitWork, SavepointScope, at_commit, waiting
from collab.mirror.querysets import chunks, rows_changed, rows_created
from collab.mirror.rows.relations import concrete

__all__ = ["Before", "Change", "Kind", "Watch", "connect_all", "unwatch", "watch"]

logger = logging.getLogger("collab.live")


class Kind(StrEnum):
    """What has become of a row."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Before:
    """A row before a transaction changed it.

    Args:
        row: as it was.
        groups: that it was in, by who watches.
    """

    row: Model
    groups: Mapping[Watch, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction has done to a row.

    Args:
        kind: what has become of it.
        pk: its primary key.
        row: as it is after the commit; one that is gone, as it was.
        before: the row before, if somebody who watches wants to know.
        is_itself: not only its many-to-many relations have changed.
    """

    kind: Kind
    pk: Any
    row: Model
    before: Before | None = None
    is_itself: bool = True


class Watch(Protocol):
    """Somebody who wants to know what becomes of a model's rows."""

    @property
    def model(self) -> type[Model]:
        """Whose rows."""
        ...

    @property
    def many_to_many(self) -> bool:
        """Changes of many-to-many relations are changes of the row."""
        ...

    @property
    def wants_before(self) -> bool:
        """Rows come and go between groups."""
        ...

    def groups_of(self, row: Model) -> Iterable[str]:
        """Return the groups that a row is in."""
        ...

    def tell(self, changes: Sequence[Change]) -> None:
        """Take what one transaction has changed, not nothing; it has been committed."""
        ...


# What a transaction has changed.


@dataclass(slots=True)
class _Note:
    """What is known of a row that a transaction has touched.

    Args:
        existed: whether it was there before; ``None``: if it is there afterwards.
        before: as it was, if somebody wants to know.
    """

    existed: bool | None
    before: Before | None
    #: As it was when it was deleted.
    last: Model | None = None
    #: Where it was touched, and whether that was the row itself and not only a relation of it.
    parts: dict[SavepointScope, bool] = field(default_factory=dict)

    @property
    def is_committed(self) -> bool:
        return any(part.is_committed for part in self.parts)

    @property
    def is_itself(self) -> bool:
        return any(itself and part.is_committed for part, itself in self.parts.items())

    def change(self, pk: Any, now: Model | None) -> Change | None:
        """Return what has become of the row, which is ``now`` this; ``None`` if nothing has."""
        if now is not None:
            kind = Kind.CREATE if self.existed is False else Kind.UPDATE
            return Change(kind, pk, now, self.before, self.is_itself)
        last = self.before.row if self.before else self.last
        # Otherwise another transaction has deleted it, which tells of that itself.
        return Change(Kind.DELETE, pk, last, self.before) if self.existed and last else None


class _Changes(CommitWork):
    """What one transaction has touched so far."""

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self._notes: dict[type[Model], dict[Any, _Note]] = {}

    def knows(self, model: type[Model], pk: Any) -> bool:
        """Tell whether a row was noted already, and so what was there before."""
        return pk in self._notes.get(model, ())

    def note(
        self,
        model: type[Model],
        pk: Any,
        *,
        existed: bool | None,
        before: Before | None = None,
        last: Model | None = None,
        itself: bool = True,
    ) -> None:
        """Note that a row was touched; what was there before is told by the first to do so."""
        note = self._notes.setdefault(model, {}).setdefault(pk, _Note(existed, before))
        note.last = last or note.last
        note.parts[self.part] = itself or note.parts.get(self.part, False)

    def run(self) -> None:
        """Tell those who watch."""
        for model, notes in self._notes.items():
            committed = {pk: note for pk, note in notes.items() if note.is_committed}
            self._notes[model] = {pk: note for pk, note in notes.items() if pk not in committed}
            now = _rows(model, self.using, list(committed))
            found = (note.change(pk, now.get(pk)) for pk, note in committed.items())
            _tell(model, [change for change in found if change])


def _tell(model: type[Model], changes: Sequence[Change]) -> None:
    for each in list(_watches.get(model, ())):
        concerning = [change for change in changes if change.is_itself or each.many_to_many]
        try:
            if concerning:
                each.tell(concerning)
        except Exception:
            logger.exception("Changes of %s could not be told.", model._meta.label)


def _rows(model: type[Model], using: str, keys: Sequence[Any]) -> dict[Any, Model]:
    """Return those rows that there are now, by primary key."""
    rows = model._base_manager.using(using)
    return {row.pk: row for chunk in chunks(keys) for row in rows.filter(pk__in=chunk)}


def _befores(model: type[Model], using: str, keys: Iterable[Any]) -> dict[Any, Before]:
    """Return rows that are about to be touched for the first time, if somebody wants to know."""
    if not (curious := [each for each in _watches[model] if each.wants_before]):
        return {}
    changes = waiting(using, _Changes)
    unknown = [pk for pk in keys if changes is None or not changes.knows(model, pk)]
    return {pk: _before(row, curious) for pk, row in _rows(model, using, unknown).items()}


def _before(row: Model, curious: Iterable[Watch]) -> Before:
    return Before(row, {each: _groups(each, row) for each in curious})


def _groups(watch: Watch, row: Model) -> frozenset[str]:
    try:
        return frozenset(watch.groups_of(row))
    except Exception:
        # Rows can be saved all the same.
        logger.exception("Groups of a row of %s are not known.", row._meta.label)
        return frozenset()


# Who watches what.

_watches: dict[type[Model], list[Watch]] = {}
#: Models whose rows are watched, by the class of what is saved or deleted.
_models: dict[type[Model], list[type[Model]]] = {}
#: Relations of rows that are watched.
_relations: list[_Relation] = []
#: Signal, receiver and sender.
_connected: set[tuple[Signal, Any, type[Model]]] = set()


@dataclass(frozen=True, slots=True)
class _Relation:
    """A many-to-many relation of a model."""

    model: type[Model]
    field: Any

    @property
    def through(self) -> type[Model]:
        return cast("type[Model]", self.field.remote_field.through)

    @property
    def other(self) -> type[Model]:
        return cast("type[Model]", self.field.related_model)

    def keys(self, using: str, other: Any) -> list[Any]:
        """Return the primary keys of the rows that are related to another."""
        here, there = self.field.m2m_field_name(), self.field.m2m_reverse_field_name()
        rows = self.through._base_manager.using(using).filter(**{there: other})
        return list(rows.values_list(here, flat=True))


def watch(watch: Watch) -> None:
    """Tell ``watch`` from now on what becomes of its model's rows."""
    _watches.setdefault(watch.model, []).append(watch)
    if apps.models_ready:
        connect_all()


def unwatch(watch: Watch) -> None:
    """Tell it no more."""
    _watches[watch.model].remove(watch)
    if not _watches[watch.model]:
        del _watches[watch.model]
    connect_all()


def connect_all() -> None:
    """Listen to the signals of those models that somebody watches, and to no others.

    Django deletes in bulk what nobody wants to know of.
    """
    global _models, _relations, _connected
    _models = {model: found for model in apps.get_models() if (found := _watched_with(model))}
    _relations = [each for model in _watches for each in _relations_of(model)]
    wanted = {(*each, model) for model in _models for each in _RECEIVERS}
    wanted |= {(*each, link.through) for link in _relations for each in _RELATION_RECEIVERS}
    wanted |= {(pre_delete, _other_goes, relation.other) for relation in _relations}
    for signal, receiver, sender in wanted - _connected:
        signal.connect(receiver, sender=sender)
    for signal, receiver, sender in _connected - wanted:
        signal.disconnect(receiver, sender=sender)
    _connected = wanted


def _watched_with(model: type[Model]) -> list[type[Model]]:
    """Return the watched models whose rows are those of ``model`` in part."""
    own = concrete(model)
    return [each for each in _watches if _is_kin(concrete(each), own)]


def _is_kin(one: type[Model], other: type[Model]) -> bool:
    return issubclass(one, other) or issubclass(other, one)


def _relations_of(model: type[Model]) -> list[_Relation]:
    if not any(each.many_to_many for each in _watches[model]):
        return []
    return [_Relation(model, field_) for field_ in model._meta.many_to_many]


# Signals.

#: Attribute of an instance between the two signals of its change.
_BEFORE = "_collab_live_before"


def _about_to_save(
    sender: type[Model], instance: Model, raw: bool, using: str, **kwargs: Any
) -> None:
    if instance.pk is None or (_is_new(instance) and not raw):
        return
    # Nothing is noted yet: without a transaction it would be told at once.
    vars(instance)[_BEFORE] = {
        model: _befores(model, using, [_key(model, instance)]) for model in _models[sender]
    }


def _is_new(instance: Model) -> bool:
    """Tell whether Django inserts a row without looking for one that is there."""
    return instance._state.adding and instance._meta.pk.has_default()


def _saved(sender: type[Model], instance: Model, created: bool, using: str, **kwargs: Any) -> None:
    befores = vars(instance).pop(_BEFORE, {})
    with at_commit(using, _Changes) as changes:
        for model in _models[sender]:
            key = _key(model, instance)
            # A row of a parent model may have one of the watched model or not.
            existed = not created if isinstance(instance, concrete(model)) else None
            before = befores.get(model, {}).get(key)
            changes.note(model, key, existed=existed, before=before)


def _about_to_delete(
    sender: type[Model], instance: Model, using: str, origin: Any = None, **kwargs: Any
) -> None:
    with at_commit(using, _Changes) as changes:
        for model in _models[sender]:
            if isinstance(instance, concrete(model)):
                _note_deleted(changes, model, instance, is_fresh=origin is not instance)


def _note_deleted(
    changes: _Changes, model: type[Model], instance: Model, *, is_fresh: bool
) -> None:
    """Note that a row is deleted; ``is_fresh``: Django has just read it for that."""
    key, last = _key(model, instance), copy(instance)
    if is_fresh and not changes.knows(model, key):
        curious = [each for each in _watches[model] if each.wants_before]
        before = _before(last, curious) if curious else None
    else:
        before = _befores(model, changes.using, [key]).get(key)
    changes.note(model, key, existed=True, before=before, last=last)


def _touched(sender: type[Model], keys: Collection[Any], using: str, **kwargs: Any) -> None:
    for model in _models[sender]:
        _note(model, using, _keys_of(model, sender, using, keys))


def _created(
    sender: type[Model],
    instances: Sequence[Model],
    using: str,
    may_exist: bool = False,
    **kwargs: Any,
) -> None:
    existed = None if may_exist else False
    with at_commit(using, _Changes) as changes:
        for model in _models[sender]:
            for instance in instances:
                if instance.pk is not None:
                    changes.note(model, _key(model, instance), existed=existed)


def _note(model: type[Model], using: str, keys: Iterable[Any], *, itself: bool = True) -> None:
    """Note rows that are about to be changed."""
    keys = [model._meta.pk.to_python(key) for key in keys]
    befores = _befores(model, using, keys)
    with at_commit(using, _Changes) as changes:
        for key in keys:
            changes.note(model, key, existed=True, before=befores.get(key), itself=itself)


def _key(model: type[Model], instance: Model) -> Any:
    """Return the primary key that a row of ``model`` has; ``instance`` may be of its parents."""
    key = getattr(instance, model._meta.pk.attname, instance.pk)
    # What code has assigned may be "5", or a UUID as text.
    return model._meta.pk.to_python(key)


def _keys_of(
    model: type[Model], sender: type[Model], using: str, keys: Collection[Any]
) -> Iterator[Any]:
    if issubclass(concrete(sender), concrete(model)):
        yield from keys
    else:
        # Not all rows of a parent model have one of the watched model.
        yield from _rows(model, using, list(keys))


# Many-to-many relations.


def _related(
    sender: type[Model],
    instance: Model,
    action: str,
    reverse: bool,
    pk_set: Collection[Any] | None,
    using: str,
    **kwargs: Any,
) -> None:
    # Before it is done, as there is a transaction already and nothing has changed yet.
    if not action.startswith("pre_") or not (pk_set or action == "pre_clear"):
        return
    for relation in _relations_by(sender):
        keys = (pk_set or relation.keys(using, instance.pk)) if reverse else [instance.pk]
        _note(relation.model, using, keys, itself=False)


def _joined(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    """Note that a row of a model that joins others is new, or goes."""
    for relation in _relations_by(sender):
        field_ = cast("Any", sender._meta.get_field(relation.field.m2m_field_name()))
        _note(relation.model, using, [getattr(instance, field_.attname)], itself=False)


def _other_goes(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    """Note the rows that are related to one that is deleted: Django does not tell of them."""
    for relation in [each for each in _relations if each.other is sender]:
        _note(relation.model, using, relation.keys(using, instance.pk), itself=False)


def _relations_by(through: type[Model]) -> list[_Relation]:
    return [each for each in _relations if each.through is through]


_RECEIVERS = (
    (pre_save, _about_to_save),
    (post_save, _saved),
    (pre_delete, _about_to_delete),
    (rows_changed, _touched),
    (rows_created, _created),
)
_RELATION_RECEIVERS = ((m2m_changed, _related), (post_save, _joined), (pre_delete, _joined))
