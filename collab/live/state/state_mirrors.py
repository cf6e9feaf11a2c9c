"""The mirrors of states: one for each serializer, whichever states it is part of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from rest_framework.fields import HiddenField, SerializerMethodField
from rest_framework.serializers import BaseSerializer, ListSerializer, ModelSerializer

from collab.live.models import StateList
from collab.live.state.declared_state import (
    ANCHORS,
    Room,
    State,
    add_state,
    is_same,
    room_of,
    settled,
    states,
)
from collab.live.state.layers import (
    CREATE,
    DELETE,
    SAVE,
    Layer,
    Parent,
    Serializer,
    app_label_of,
    flat_serializer,
    layers_of,
    sources_of,
)
from collab.mirror.registry import ModelMirror, Values, mirrors, register

if TYPE_CHECKING:
    from collab.live.state.state_consumer import StateConsumer
    from collab.mirror.registry import User

__all__ = ["declare"]


class _LayerMirror(ModelMirror[Any]):
    """The rows of a serializer, in the documents of all states that it is part of."""

    # In some of the documents; `is_allowed` tells which.
    can_create = True
    can_delete = True

    def get_room_names(self, instance: Any) -> list[str]:
        concerned = [state for state in states() if state.anchor.map_name == self.map_name]
        return [name for state in concerned for name in state.rooms_of(instance)]

    def get_queryset(self, room_name: str) -> QuerySet[Any] | None:
        place = self._place(room_name)
        return place.room.rows(place.layer) if place else None

    def get_writable_fields(self, room_name: str) -> Sequence[str]:
        place = self._place(room_name)
        return writable_fields(place.room.state, place.layer) if place else ()

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
        room = room_of(room_name)
        layer = room and room.state.layers.get(self.map_name)
        return _Place(room, layer) if room and layer else None


@dataclass(frozen=True)
class _Place:
    """A layer in a document."""

    room: Room
    layer: Layer

    def get_initial(self, user: User) -> Mapping[str, Any]:
        """Return attributes of rows that ``user`` adds."""
        given = dict(self.room.ask("get_initial", user, self.layer.serializer_class))
        if parent := _only_parent(self.room.state, self.layer):
            given[parent.attname] = self.room.key
        if self.layer.user_key:
            given[self.layer.user_attribute] = user.pk
        return given

    def is_allowed(self, user: User, instance: Model, changes: Mapping[str, Any]) -> bool:
        """Tell whether ``user`` may create a row, save these changes of it, or delete it."""
        operation = CREATE if instance._state.adding else SAVE if changes else DELETE
        if operation not in self.layer.operations or not self._stays(changes):
            return False
        ask = getattr(self.room.state.consumer_class, f"can_{operation}")
        return bool(settled(ask(user, instance, changes)))

    def _stays(self, changes: Mapping[str, Any]) -> bool:
        """Tell whether rows that a row is made to belong to are in the document, too."""
        fields = flat_serializer(self.layer.serializer_class)().fields
        return all(
            self._has_parent(parent, changes[name])
            for parent in self.layer.parents
            for name in changes
            if fields[name].source in (parent.foreign_key.name, parent.foreign_key.attname)
        )

    def _has_parent(self, parent: Parent, given: Any) -> bool:
        target: Any = parent.foreign_key.target_field
        rows = self.room.rows(self.room.state.layers[parent.map_name])
        return rows.filter(**{target.name: getattr(given, target.attname, given)}).exists()

    def get_companions(
        self, before: Values | None, now: Values | None
    ) -> Mapping[str, Iterable[Any]]:
        """Return the rows that a row does not lead to any more, and those that it leads to now."""
        found = defaultdict[str, set[Any]](set)
        for field, relation in self.layer.relations.items():
            found[relation.map_name] |= _keys(before, field) ^ _keys(now, field)
        if self.room.state.many and self.layer is self.room.state.anchor:
            # It may have another place, too.
            found[ANCHORS].add(self.room.name)
        return found


def _keys(values: Values | None, field: str) -> set[Any]:
    value = None if values is None else values.get(field)
    return set(value) if isinstance(value, list) else {value} - {None}


@cache
def writable_fields(state: State, layer: Layer) -> tuple[str, ...]:
    """Return the fields of a layer's rows that clients may write."""
    if not layer.operations & {SAVE, CREATE}:
        return ()
    parent = _only_parent(state, layer)
    fixed = {layer.model._meta.pk.name, layer.user_key, parent and parent.name}
    return tuple(
        name
        for name, field in flat_serializer(layer.serializer_class)().fields.items()
        if field.source not in fixed and _is_writable(field)
    )


def _is_writable(field: Any) -> bool:
    is_hidden = field.read_only or field.write_only or isinstance(field, HiddenField)
    return not (is_hidden or isinstance(field, BaseSerializer)) and len(field.source_attrs) == 1


def _only_parent(state: State, layer: Layer) -> Any:
    """Return the foreign key of rows that can only belong to the one anchor of a document."""
    if state.many or len(layer.parents) != 1:
        return None
    [parent] = layer.parents
    is_anchor = parent.map_name == state.anchor.map_name
    return parent.foreign_key if is_anchor and parent.foreign_key.target_field.primary_key else None


class _OrderSerializer(ModelSerializer[StateList]):
    keys = SerializerMethodField()

    class Meta:
        model = StateList
        fields = ("keys",)

    def get_keys(self, changes: StateList) -> list[Any]:
        room = room_of(changes.name)
        return room.anchor_keys() if room else []


class _OrderMirror(ModelMirror[StateList]):
    """Which anchors are in a document, in order."""

    map_name = ANCHORS
    serializer_class: ClassVar = _OrderSerializer

    def get_room_names(self, instance: StateList) -> list[str]:
        return [instance.name]

    def get_queryset(self, room_name: str) -> QuerySet[StateList] | None:
        room = room_of(room_name)
        if room is None or not room.state.many:
            return None
        return StateList.objects.filter(name=room_name)

    def get_companions(
        self, room_name: str, key: str, before: Values | None, now: Values | None
    ) -> Mapping[str, Iterable[Any]]:
        room = room_of(room_name)
        changed = _keys(before, "keys") ^ _keys(now, "keys")
        return {room.state.anchor.map_name: changed} if room else {}


# Declaring them.

_registered: dict[str, Serializer] = {}


def declare(consumer_class: type[StateConsumer]) -> State:
    """Return the state that ``Meta.state`` of a consumer declares, and have its rows mirrored.

    Raises:
        ImproperlyConfigured: it cannot be followed.
    """
    meta: Any = consumer_class.Meta
    state = _state(consumer_class, meta, meta.state)
    for layer in state.layers.values():
        _mirror(layer)
    if state.many and not _is_mirrored(ANCHORS):
        _register(StateList, _OrderMirror)
    add_state(state)
    return state


def _state(consumer_class: type[StateConsumer], meta: Any, serializer: Any) -> State:
    many = isinstance(serializer, ListSerializer)
    root = serializer.child if many else serializer
    if not isinstance(root, ModelSerializer):
        raise ImproperlyConfigured(
            f"{consumer_class.__name__}.Meta.state is an instance of a ModelSerializer: write"
            " state = ProjectSerializer(), or ProjectSerializer(many=True)."
        )
    layers = layers_of(type(root), getattr(meta, "writable", None))
    label = app_label_of(consumer_class) or layers[0].model._meta.app_label
    return State(
        consumer_class,
        f"{label}.{consumer_class.__name__}",
        {layer.map_name: layer for layer in layers},
        layers[0],
        many,
        getattr(meta, "per_user", False) or any(layer.user_key for layer in layers),
        many and getattr(meta, "auto_update", False),
    )


def _mirror(layer: Layer) -> None:
    """Have the rows of a serializer mirrored, unless they are."""
    known = _registered.setdefault(layer.map_name, layer.serializer_class)
    if not is_same(known, layer.serializer_class):
        raise ImproperlyConfigured(f"There are two serializers {layer.map_name!r} in states.")
    if _is_mirrored(layer.map_name):
        return
    attributes = {
        "map_name": layer.map_name,
        "serializer_class": flat_serializer(layer.serializer_class),
        "depends_on": sources_of(layer.serializer_class),
        "text_fields": layer.text_fields,
    }
    name = f"{layer.serializer_class.__name__}Mirror"
    _register(layer.model, type(name, (_LayerMirror,), attributes))


def _register(model: type[Model], mirror: type[ModelMirror[Any]]) -> None:
    # The app need not be installed where there are no states.
    from collab.mirror.outgoing.signals import connect

    register(model)(mirror)
    connect(mirrors()[-1])


def _is_mirrored(map_name: str) -> bool:
    return any(mirror.map_name == map_name for mirror in mirrors())
