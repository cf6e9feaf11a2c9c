"""Django's signals about rows, in one form for everything that follows rows.

A :class:`Follower` names a model and the paths to other rows that its rows depend on. It records a
:class:`RowEvent` for each ``save()``, ``delete()`` and change of a many-to-many relation, and for
changes of many rows at once by a ``MirroredManager``. Django sends no signals for ``update()`` and
the like of other managers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from django.apps import apps
from django.db.models import ForeignObjectRel, Model, QuerySet
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save
from django.dispatch import Signal

from collab.engine.runtime.on_commit import CommitWork, at_commit
from collab.mirror.querysets import rows_changed, rows_created
from collab.mirror.rows.relations import Path, concrete
from collab_storage.chunks import chunks

__all__ = ["Dependency", "Follower", "RowAction", "RowEvent", "connect_all", "follow", "unfollow"]


class RowAction(Enum):
    """The kind of a change of rows."""

    SAVE = auto()
    DELETE = auto()
    #: Many rows at once, by a queryset.
    CREATE = auto()
    UPDATE = auto()
    #: Other rows are related to them, many to many.
    RELATE = auto()


class Follower(ABC):
    """Records changes of a model's rows until they are committed."""

    model: type[Model]
    #: To the rows that these depend on.
    paths: Sequence[Path]
    #: The kind of work that changes are recorded in.
    work: type[CommitWork]

    @property
    def wants_before(self) -> bool:
        """Whether :meth:`look` returns anything."""
        return False

    # Optional: called if wants_before is true.
    def look(self, event: RowEvent) -> Any:  # noqa: B027
        """Return the values to keep of the model's rows before ``event`` changes them."""

    @abstractmethod
    def record(self, work: Any, event: RowEvent) -> None:
        """Record a change in the transaction's ``work``."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """Connects rows of a model with the followed rows that depend on them.

    Args:
        follower: of the dependent rows.
        model: the other model, or the one that both inherit from.
        path: leads to the other model's rows; ``None`` if the rows are the followed ones.
    """

    follower: Follower
    model: type[Model]
    path: Path | None = None

    @property
    def shows(self) -> bool:
        """Whether followed rows change whenever the other rows are saved."""
        return self.path is None or self.path.shown or self.path.is_backward

    def looks_before(self, action: RowAction) -> bool:
        """Return whether to read linked rows before an action, as others may be linked then."""
        if self.path is None:
            return self.follower.wants_before
        if action is RowAction.DELETE:
            return self.path.shown or self.path.outlives
        return self.path.is_backward

    def rows(self, using: str, keys: Collection[Any]) -> QuerySet[Any]:
        """Return the followed rows that are linked to the rows with these primary keys."""
        rows: QuerySet[Any] = self.follower.model._base_manager.using(using)
        key = self.model._meta.pk.name
        if self.path is None:
            return rows.filter(**{f"{key}__in": keys})
        return rows.filter(**self.path.leading_to(using, key, keys))

    def linked(self, using: str, keys: Collection[Any]) -> list[Any]:
        """Return the primary keys of these followed rows."""
        found = (self.rows(using, chunk).values_list("pk", flat=True) for chunk in chunks(keys))
        return [key for of_chunk in found for key in of_chunk]


@dataclass(frozen=True, slots=True)
class RowEvent:
    """A change of rows, as one dependency leads to it.

    Args:
        dependency: to the followed rows.
        using: alias of the database.
        action: the kind of change.
        keys: primary keys of the dependency's model.
        instances: the rows that are saved, deleted or created, if their values are given.
        is_new: whether the followed rows are inserted; ``None`` if that is not known.
        is_fresh: Django has just read the instance, in order to delete it.
        before: primary keys of the followed rows that were linked before, or what the follower
            remembers of them.
    """

    dependency: Dependency
    using: str
    action: RowAction
    keys: Sequence[Any]
    instances: Sequence[Model] = ()
    is_new: bool | None = None
    is_fresh: bool = False
    before: Any = None

    def looked(self) -> RowEvent:
        """Return the event with the state of the rows before the change."""
        dependency = self.dependency
        if not dependency.looks_before(self.action):
            return self
        is_own = dependency.path is None
        before = (
            dependency.follower.look(self) if is_own else dependency.linked(self.using, self.keys)
        )
        return replace(self, before=before)


# Followers.

_followers: list[Follower] = []
#: By the class of the saved or deleted object.
_dependencies: dict[type[Model], list[Dependency]] = {}
#: By the class that joins rows many to many: the path, and the dependency on its last start.
_relations: dict[type[Model], list[tuple[Path, Dependency]]] = {}
#: Signal, receiver and sender.
_connected: set[tuple[Signal, Any, type[Model]]] = set()


def follow(follower: Follower) -> None:
    """Add a follower, which records changes from now on."""
    _followers.append(follower)
    connect_all()


def unfollow(follower: Follower) -> None:
    """Remove a follower."""
    _followers.remove(follower)
    connect_all()


def connect_all() -> None:
    """Connect the signals of the models that followed rows depend on, and of no others.

    Django deletes rows in bulk, without reading them, where no signal is connected. What is
    followed before all models are loaded is connected by the app's ``ready()``.
    """
    global _dependencies, _relations, _connected
    if not apps.models_ready:
        return
    dependencies, relations = defaultdict(list), defaultdict(list)
    for follower in _followers:
        for model in apps.get_models():
            for dependency in _dependencies_on(model, follower):
                dependencies[model].append(dependency)
        for path in follower.paths:
            if path.relation.many_to_many:
                relations[path.joining_model].append((path, _start_of(path, follower)))
    _dependencies, _relations = dict(dependencies), dict(relations)
    wanted: set[tuple[Signal, Any, type[Model]]]
    wanted = {
        (*each, model) for model in _dependencies for each in _receivers(_dependencies[model])
    }
    wanted |= {(m2m_changed, _related, through) for through in _relations}
    for signal, receiver, sender in wanted - _connected:
        signal.connect(receiver, sender=sender)
    for signal, receiver, sender in _connected - wanted:
        signal.disconnect(receiver, sender=sender)
    _connected = wanted


def _dependencies_on(model: type[Model], follower: Follower) -> Iterator[Dependency]:
    if (same := _in_common(follower.model, model)) is not None:
        yield Dependency(follower, same)
    for path in follower.paths:
        if (same := _in_common(path.model, model)) is not None:
            yield Dependency(follower, same, path)


def _in_common(one: type[Model], other: type[Model]) -> type[Model] | None:
    """Return the model that both are rows of, if one inherits from the other."""
    one, other = concrete(one), concrete(other)
    if issubclass(other, one):
        return one
    return other if issubclass(one, other) else None


def _start_of(path: Path, follower: Follower) -> Dependency:
    """Return a dependency to where the last step of a path begins."""
    before = (each for each in follower.paths if each.lookups == path.lookups[:-1])
    start = next(before, None)
    return Dependency(follower, concrete(start.model if start else follower.model), start)


def _receivers(dependencies: Iterable[Dependency]) -> Iterator[tuple[Signal, Any]]:
    for dependency in dependencies:
        if dependency.shows:
            yield from ((post_save, _saved), (rows_changed, _updated), (rows_created, _created))
        if dependency.looks_before(RowAction.SAVE):
            yield pre_save, _about_to_save
        if dependency.path is None or dependency.looks_before(RowAction.DELETE):
            yield pre_delete, _about_to_delete


# Receivers.

#: Attribute of an instance between the two signals of its change.
_BEFORE = "_collab_rows_before"


def _about_to_save(
    sender: type[Model], instance: Model, raw: bool, using: str, **kwargs: Any
) -> None:
    # Django inserts a row with a fresh default key without looking for one that is there.
    is_new = instance._state.adding and instance._meta.pk.has_default() and not raw
    if instance.pk is not None and not is_new:
        # Nothing is recorded yet: without a transaction it would be committed at once.
        events = [event.looked() for event in _events(sender, RowAction.SAVE, instance, using)]
        vars(instance)[_BEFORE] = {event.dependency: event.before for event in events}


def _saved(
    sender: type[Model], instance: Model, created: bool, raw: bool, using: str, **kwargs: Any
) -> None:
    befores = vars(instance).pop(_BEFORE, {})
    events = [
        # A row of a parent model may be one of the followed model or not.
        replace(
            event,
            instances=() if raw else [instance],
            is_new=created
            if isinstance(instance, concrete(event.dependency.follower.model))
            else None,
            before=befores.get(event.dependency),
        )
        for event in _events(sender, RowAction.SAVE, instance, using)
    ]
    _record(using, [event for event in events if event.dependency.shows])


def _about_to_delete(
    sender: type[Model], instance: Model, using: str, origin: Any = None, **kwargs: Any
) -> None:
    events = []
    for event in _events(sender, RowAction.DELETE, instance, using):
        if event.dependency.path is not None:
            is_concerned = event.dependency.looks_before(RowAction.DELETE)
        else:
            # With a row of a parent model goes one of the followed model, which has its own signal.
            is_concerned = isinstance(instance, concrete(event.dependency.follower.model))
        if is_concerned:
            event = replace(event, instances=[instance], is_fresh=origin is not instance)
            events.append(event.looked())
    _record(using, events)


def _events(
    sender: type[Model], action: RowAction, instance: Model, using: str
) -> Iterator[RowEvent]:
    for dependency in _dependencies[sender]:
        # Also of an instance of a derived model.
        key = getattr(instance, dependency.model._meta.pk.attname)
        yield RowEvent(dependency, using, action, [key])


def _updated(sender: type[Model], keys: Sequence[Any], using: str, **kwargs: Any) -> None:
    if keys:
        shown = _shown(sender)
        _record(using, [RowEvent(each, using, RowAction.UPDATE, keys).looked() for each in shown])


def _created(
    sender: type[Model],
    instances: Sequence[Model],
    using: str,
    may_exist: bool = False,
    **kwargs: Any,
) -> None:
    keys = [instance.pk for instance in instances if instance.pk is not None]
    action, is_new = RowAction.CREATE, None if may_exist else True
    shown = _shown(sender)
    _record(using, [RowEvent(each, using, action, keys, instances, is_new) for each in shown])


def _shown(sender: type[Model]) -> list[Dependency]:
    """Return the dependencies whose followed rows change whenever rows of ``sender`` do."""
    return [dependency for dependency in _dependencies[sender] if dependency.shows]


def _related(
    sender: type[Model],
    instance: Model,
    action: str,
    reverse: bool,
    pk_set: Collection[Any] | None,
    using: str,
    **kwargs: Any,
) -> None:
    # Before it is done: there is a transaction already, and nothing has changed yet.
    if action == "pre_clear" or (action.startswith("pre_") and pk_set):
        events = [
            RowEvent(dependency, using, RowAction.RELATE, keys).looked()
            for path, dependency in _relations[sender]
            if (keys := _near_keys(path, instance, reverse, pk_set, using))
        ]
        _record(using, events)


def _near_keys(
    path: Path, instance: Model, reverse: bool, others: Collection[Any] | None, using: str
) -> list[Any]:
    """Return the primary keys of the rows where the last step of ``path`` begins."""
    is_near = reverse == isinstance(path.relation, ForeignObjectRel)
    if is_near and not path.field.remote_field.symmetrical:
        return [instance.pk]
    if others is None:
        near, far = path.joining_fields
        rows = path.joining_model._base_manager.using(using).filter(**{far: instance.pk})
        others = rows.values_list(near, flat=True)
    return [*others, *([instance.pk] if is_near else [])]


def _record(using: str, events: Sequence[RowEvent]) -> None:
    """Pass events to their followers, all of a kind in one piece of work."""
    for kind in dict.fromkeys(event.dependency.follower.work for event in events):
        with at_commit(using, kind) as work:
            for event in events:
                if event.dependency.follower.work is kind:
                    event.dependency.follower.record(work, event)
