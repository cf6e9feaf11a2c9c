"""Mirrors of states: one for each serializer, shared by the states that contain it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, cast

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from rest_framework.fields import HiddenField, SerializerMethodField
from rest_framework.serializers import BaseSerializer, ListSerializer, ModelSerializer

from collab.live.models import StateList
from collab.live.state.declared_state import (
    ROOT_ROWS,
    State,
    StateDocument,
    add_state,
    is_same,
    resolve,
    state_document,
    states,
)
from collab.live.state.rules import StateRules
from collab.live.state.tables import (
    CREATE,
    DELETE,
    SAVE,
    Parent,
    Serializer,
    Table,
    app_label_of,
    flat_serializer,
    sources_of,
    tables_of,
)
from collab.mirror.registry import ModelMirror, User, Values, mirrors, register

__all__ = ["declare"]


class _TableMirror(ModelMirror[Any]):
    """The rows of a serializer, in the documents of all states that contain it."""

    # `is_allowed` decides by document.
    can_create = True
    can_delete = True

    def get_room_names(self, instance: Any) -> list[str]:
        concerned = [state for state in states() if state.root.map_name == self.map_name]
        return [name for state in concerned for name in state.documents_for(instance)]

    def get_queryset(self, room_name: str) -> QuerySet[Any] | None:
        place = self._place(room_name)
        return place.document.rows(place.table) if place else None

    def get_writable_fields(self, room_name: str) -> Sequence[str]:
        place = self._place(room_name)
        return writable_fields(place.document.state, place.table) if place else ()

    def get_initial(self, room_name: str, user: User) -> Mapping[str, Any]:
        place = self._place(room_name)
        return place.get_initial(user) if place else {}

    def is_allowed(
        self, room_name: str, user: User, instance: Any, changes: Mapping[str, Any]
    ) -> bool:
        place = self._place(room_name)
        return place is not None and place.is_allowed(user, instance, changes)

    def get_companions(
        self, room_name: str, key: str, before: Values | None, now: Values | None
    ) -> Mapping[str, Iterable[Any]]:
        place = self._place(room_name)
        return place.get_companions(before, now) if place else {}

    def _place(self, room_name: str) -> _Place | None:
        document = state_document(room_name)
        table = document and document.state.tables.get(self.map_name)
        return _Place(document, table) if document and table else None


@dataclass(frozen=True)
class _Place:
    """A table in a document."""

    document: StateDocument
    table: Table

    def get_initial(self, user: User) -> Mapping[str, Any]:
        """Return attributes of rows that ``user`` creates."""
        given = dict(self.document.ask("get_initial", user, self.table.serializer_class))
        if parent := _only_parent(self.document.state, self.table):
            given[parent.attname] = self.document.key
        if self.table.user_key:
            given[self.table.user_attribute] = user.pk
        return given

    def is_allowed(self, user: User, instance: Model, changes: Mapping[str, Any]) -> bool:
        """Return whether ``user`` may create a row, save these changes to it, or delete it."""
        operation = CREATE if instance._state.adding else SAVE if changes else DELETE
        if operation not in self.table.operations or not self._stays(changes):
            return False
        rule = getattr(self.document.state.consumer_class, f"can_{operation}")
        return bool(resolve(rule(user, instance, changes)))

    def _stays(self, changes: Mapping[str, Any]) -> bool:
        """Return whether the document contains all rows that the changes make a row's parents."""
        fields = flat_serializer(self.table.serializer_class)().fields
        return all(
            self._has_parent(parent, changes[name])
            for parent in self.table.parents
            for name in changes
            if fields[name].source in (parent.foreign_key.name, parent.foreign_key.attname)
        )

    def _has_parent(self, parent: Parent, given: Any) -> bool:
        target: Any = parent.foreign_key.target_field
        rows = self.document.rows(self.document.state.tables[parent.map_name])
        return rows.filter(**{target.name: getattr(given, target.attname, given)}).exists()

    def get_companions(
        self, before: Values | None, now: Values | None
    ) -> Mapping[str, Iterable[Any]]:
        """Return the rows that a row led to before, or leads to now, but not both."""
        found = defaultdict[str, set[Any]](set)
        for field, relation in self.table.relations.items():
            found[relation.map_name] |= _keys(before, field) ^ _keys(now, field)
        if self.document.state.many and self.table is self.document.state.root:
            # The order of the list may have changed.
            found[ROOT_ROWS].add(self.document.name)
        return found


def _keys(values: Values | None, field: str) -> set[Any]:
    value = None if values is None else values.get(field)
    return set(value) if isinstance(value, list) else {value} - {None}


@cache
def writable_fields(state: State, table: Table) -> tuple[str, ...]:
    """Return the fields that clients may write in rows of a table."""
    if not table.operations & {SAVE, CREATE}:
        return ()
    parent = _only_parent(state, table)
    fixed = {table.model._meta.pk.name, table.user_key, parent and parent.name}
    return tuple(
        name
        for name, field in flat_serializer(table.serializer_class)().fields.items()
        if field.source not in fixed and _is_writable(field)
    )


def _is_writable(field: Any) -> bool:
    is_hidden = field.read_only or field.write_only or isinstance(field, HiddenField)
    return not (is_hidden or isinstance(field, BaseSerializer)) and len(field.source_attrs) == 1


def _only_parent(state: State, table: Table) -> Any:
    """Return the foreign key to the only root row, if rows of a table have no other parent."""
    if state.many or len(table.parents) != 1:
        return None
    [parent] = table.parents
    is_root = parent.map_name == state.root.map_name
    return parent.foreign_key if is_root and parent.foreign_key.target_field.primary_key else None


class _OrderSerializer(ModelSerializer[StateList]):
    keys = SerializerMethodField()

    class Meta:
        model = StateList
        fields = ("keys",)

    def get_keys(self, changes: StateList) -> list[Any]:
        document = state_document(changes.name)
        return document.root_keys() if document else []


class _OrderMirror(ModelMirror[StateList]):
    """The root rows of a document, in order."""

    map_name = ROOT_ROWS
    serializer_class: ClassVar = _OrderSerializer

    def get_room_names(self, instance: StateList) -> list[str]:
        return [instance.name]

    def get_queryset(self, room_name: str) -> QuerySet[StateList] | None:
        document = state_document(room_name)
        if document is None or not document.state.many:
            return None
        return StateList.objects.filter(name=room_name)

    def get_companions(
        self, room_name: str, key: str, before: Values | None, now: Values | None
    ) -> Mapping[str, Iterable[Any]]:
        document = state_document(room_name)
        changed = _keys(before, "keys") ^ _keys(now, "keys")
        return {document.state.root.map_name: changed} if document else {}


# Declaring states.

_registered: dict[str, Serializer] = {}


def declare(consumer_class: type[StateRules]) -> State:
    """Return the state that ``Meta.state`` of a consumer declares, and mirror its rows.

    Raises:
        ImproperlyConfigured: the declaration is not valid.
    """
    state = _state(consumer_class, cast("Any", consumer_class).Meta)
    for table in state.tables.values():
        _mirror(table)
    if state.many and not _is_mirrored(ROOT_ROWS):
        _register(StateList, _OrderMirror)
    add_state(state)
    return state


def _state(consumer_class: type[StateRules], meta: Any) -> State:
    many = isinstance(meta.state, ListSerializer)
    root = meta.state.child if many else meta.state
    if not isinstance(root, ModelSerializer):
        raise ImproperlyConfigured(
            f"{consumer_class.__name__}.Meta.state is not an instance of a ModelSerializer: write"
            " state = ProjectSerializer(), or ProjectSerializer(many=True)."
        )
    per_connection = getattr(meta, "per_connection", False)
    if per_connection and not many:
        raise ImproperlyConfigured(
            f"{consumer_class.__name__}.Meta.per_connection is for lists: write many=True in"
            " Meta.state."
        )
    tables = tables_of(type(root), getattr(meta, "writable", None))
    label = app_label_of(consumer_class) or tables[0].model._meta.app_label
    return State(
        consumer_class,
        f"{label}.{consumer_class.__name__}",
        {table.map_name: table for table in tables},
        tables[0],
        many,
        getattr(meta, "per_user", False) or any(table.user_key for table in tables),
        many and getattr(meta, "auto_update", False),
        per_connection,
    )


def _mirror(table: Table) -> None:
    """Register a mirror for the rows of a serializer, unless there is one."""
    known = _registered.setdefault(table.map_name, table.serializer_class)
    if not is_same(known, table.serializer_class):
        raise ImproperlyConfigured(f"Two serializers in states are called {table.map_name!r}.")
    if _is_mirrored(table.map_name):
        return
    attributes = {
        "map_name": table.map_name,
        "serializer_class": flat_serializer(table.serializer_class),
        "depends_on": sources_of(table.serializer_class),
        "text_fields": table.text_fields,
    }
    name = f"{table.serializer_class.__name__}Mirror"
    _register(table.model, type(name, (_TableMirror,), attributes))


def _register(model: type[Model], mirror: type[ModelMirror[Any]]) -> None:
    # The app is optional where there are no states.
    from collab.mirror.outgoing.signals import connect

    register(model)(mirror)
    connect(mirrors()[-1])


def _is_mirrored(map_name: str) -> bool:
    return any(mirror.map_name == map_name for mirror in mirrors())
