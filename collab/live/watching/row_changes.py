"""Changes of watched rows, published once after the commit of their transaction.

Until then only keys are recorded. After the commit the rows are read again, all of a model at once,
and the kind of each change follows from the row before and the row now: many saves of
a row, by any number of instances, are one change, and a rolled back one is none. See
:mod:`collab.mirror.row_signals` for the changes that are followed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from django.db.models import Model

from collab.engine.runtime.on_commit import CommitWork, SavepointScope, waiting
from collab.mirror.row_signals import Follower, RowAction, RowEvent, follow, unfollow
from collab.mirror.rows.relations import Path, concrete, declared_paths
from collab_storage.chunks import chunks

__all__ = ["Before", "Kind", "RowChange", "Watch", "unwatch", "watch"]

logger = logging.getLogger("collab.live")


class Kind(StrEnum):
    """The kind of a row's change."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Before:
    """A row before a transaction changed it.

    Args:
        row: as it was.
        groups: that it was in, by watch.
    """

    row: Model
    groups: Mapping[Watch, frozenset[str]]


@dataclass(frozen=True, slots=True)
class RowChange:
    """A change of a row by a transaction.

    Args:
        kind: created, updated or deleted.
        pk: its primary key.
        row: as it is after the commit; a deleted one as it was.
        before: the row before, if a watch wants it.
        is_itself: not only its many-to-many relations have changed.
    """

    kind: Kind
    pk: Any
    row: Model
    before: Before | None = None
    is_itself: bool = True


class Watch(Protocol):
    """Receives the changes of a model's rows."""

    @property
    def model(self) -> type[Model]:
        """The model whose rows are watched."""

    @property
    def many_to_many(self) -> bool:
        """Changes of many-to-many relations are changes of the row."""

    @property
    def wants_before(self) -> bool:
        """Rows come and go between groups."""

    def groups_of(self, row: Model) -> Iterable[str]:
        """Return the groups that a row is in."""

    def receive(self, changes: Sequence[RowChange]) -> None:
        """Publish the changes of one committed transaction; there is at least one."""


def watch(watch: Watch) -> None:
    """Pass the changes of its model's rows to ``watch`` from now on."""
    _set_watches(watch.model, [*_watches(watch.model), watch])


def unwatch(watch: Watch) -> None:
    """Pass no more changes to ``watch``."""
    _set_watches(watch.model, [each for each in _watches(watch.model) if each is not watch])


# Changes of one transaction.


@dataclass(slots=True)
class _WatchedChange:
    """A row that a transaction has changed.

    Args:
        existed: whether it was there before; ``None``: if it is there afterwards.
        before: as it was, if a watch wants it.
    """

    existed: bool | None
    before: Before | None
    #: The row at its deletion.
    last: Model | None = None
    #: By scope of the change, whether the row itself was changed and not only its relations.
    parts: dict[SavepointScope, bool] = field(default_factory=dict)

    @property
    def is_committed(self) -> bool:
        return any(part.is_committed for part in self.parts)

    @property
    def is_itself(self) -> bool:
        return any(itself and part.is_committed for part, itself in self.parts.items())

    def change(self, pk: Any, now: Model | None) -> RowChange | None:
        """Return the change to the row ``now``; ``None`` if there is none."""
        if now is not None:
            kind = Kind.CREATE if self.existed is False else Kind.UPDATE
            return RowChange(kind, pk, now, self.before, self.is_itself)
        last = self.before.row if self.before else self.last
        # Otherwise another transaction has deleted it, and publishes that itself.
        return RowChange(Kind.DELETE, pk, last, self.before) if self.existed and last else None


class _WatchedChanges(CommitWork):
    """The rows that one transaction has changed."""

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self._rows: dict[_ModelFollower, dict[Any, _WatchedChange]] = {}

    def has(self, follower: _ModelFollower, pk: Any) -> bool:
        """Return whether a row was recorded already, with its state before."""
        return pk in self._rows.get(follower, ())

    def add(
        self,
        follower: _ModelFollower,
        pk: Any,
        *,
        existed: bool | None,
        before: Before | None = None,
        last: Model | None = None,
        itself: bool = True,
    ) -> None:
        """Record a changed row; its state before is known from its first change."""
        row = self._rows.setdefault(follower, {}).setdefault(pk, _WatchedChange(existed, before))
        row.last = last or row.last
        row.parts[self.part] = itself or row.parts.get(self.part, False)

    def run(self) -> None:
        """Publish the committed changes."""
        for follower, rows in self._rows.items():
            committed = {pk: row for pk, row in rows.items() if row.is_committed}
            self._rows[follower] = {pk: row for pk, row in rows.items() if pk not in committed}
            now = follower.rows(self.using, list(committed))
            found = (row.change(pk, now.get(pk)) for pk, row in committed.items())
            follower.publish([change for change in found if change])


class _ModelFollower(Follower):
    """Follows the rows of a model for all that watch it."""

    work = _WatchedChanges

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self.watches: Sequence[Watch] = ()

    @property
    def _curious(self) -> list[Watch]:
        return [each for each in self.watches if each.wants_before]

    @property
    def paths(self) -> list[Path]:  # type: ignore[override]
        """The many-to-many relations, and the rows that join them."""
        if not any(each.many_to_many for each in self.watches):
            return []
        names = [relation.name for relation in self.model._meta.many_to_many]
        found = [replace(path, shown=False) for path in declared_paths(self.model, names)]
        return found + [path.through for path in found if path.through]

    @property
    def wants_before(self) -> bool:
        """Whether rows are read before they change."""
        return bool(self._curious)

    def look(self, event: RowEvent) -> dict[Any, Before]:
        """Return the rows that are about to be changed for the first time."""
        if not event.is_fresh:
            return self._befores(event.using, self._keys(event.keys))
        (row,) = event.instances
        unknown = self._unknown(event.using, self._keys(event.keys))
        return {key: self._before(copy(row)) for key in unknown}

    def record(self, work: _WatchedChanges, event: RowEvent) -> None:
        """Record the rows that change with ``event``."""
        if event.dependency.path is not None:
            self._record_related(work, event)
            return
        existed, keys = _existed(event), self._keys(event.keys)
        if event.action is RowAction.UPDATE and event.dependency.model is not concrete(self.model):
            # Not all rows of a parent model have one of the watched model.
            keys = list(self.rows(event.using, keys))
        last = copy(event.instances[0]) if event.action is RowAction.DELETE else None
        befores: Mapping[Any, Before] = event.before or {}
        for key in keys:
            work.add(
                self,
                key,
                existed=existed,
                before=befores.get(key),
                last=last,
                itself=event.action is not RowAction.RELATE,
            )

    def _record_related(self, work: _WatchedChanges, event: RowEvent) -> None:
        """Record the rows that are related to others, or were."""
        linked = dict.fromkeys(event.before or ())
        if event.action is not RowAction.DELETE:
            linked |= dict.fromkeys(event.dependency.linked(event.using, event.keys))
        befores = self._befores(event.using, linked)
        for key in linked:
            work.add(self, key, existed=True, before=befores.get(key), itself=False)

    def rows(self, using: str, keys: Sequence[Any]) -> dict[Any, Model]:
        """Return those of the rows that there are now, by primary key."""
        rows = self.model._base_manager.using(using)
        return {row.pk: row for chunk in chunks(keys) for row in rows.filter(pk__in=chunk)}

    def publish(self, changes: Sequence[RowChange]) -> None:
        """Pass changes to the watches that they concern."""
        for each in self.watches:
            concerning = [change for change in changes if change.is_itself or each.many_to_many]
            try:
                if concerning:
                    each.receive(concerning)
            except Exception:
                name = self.model._meta.label
                logger.exception("Changes of %s could not be published.", name)

    def _keys(self, keys: Iterable[Any]) -> list[Any]:
        # Code may have assigned "5", or a UUID as text.
        return [self.model._meta.pk.to_python(key) for key in keys]

    def _unknown(self, using: str, keys: Iterable[Any]) -> list[Any]:
        changes = waiting(using, _WatchedChanges)
        return [key for key in keys if changes is None or not changes.has(self, key)]

    def _befores(self, using: str, keys: Iterable[Any]) -> dict[Any, Before]:
        if not self._curious:
            return {}
        rows = self.rows(using, self._unknown(using, keys))
        return {key: self._before(row) for key, row in rows.items()}

    def _before(self, row: Model) -> Before:
        return Before(row, {each: _groups(each, row) for each in self._curious})


def _existed(event: RowEvent) -> bool | None:
    if event.action in (RowAction.SAVE, RowAction.CREATE):
        return None if event.is_new is None else not event.is_new
    return True


def _groups(watch: Watch, row: Model) -> frozenset[str]:
    try:
        return frozenset(watch.groups_of(row))
    except Exception:
        # Rows can be saved all the same.
        logger.exception("Groups of a row of %s are not known.", row._meta.label)
        return frozenset()


_followers: dict[type[Model], _ModelFollower] = {}


def _watches(model: type[Model]) -> Sequence[Watch]:
    return _followers[model].watches if model in _followers else ()


def _set_watches(model: type[Model], watches: Sequence[Watch]) -> None:
    if (follower := _followers.pop(model, None)) is not None:
        unfollow(follower)
        follower.watches = ()
    if watches:
        follower = _followers[model] = follower or _ModelFollower(model)
        follower.watches = watches
        follow(follower)
