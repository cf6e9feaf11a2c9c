"""States: the rows that a nested serializer shows, in a document that follows them.

``class Meta: state = ProjectSerializer()`` on a consumer declares one. The document of a state has

- for each serializer class a map, named ``"<app label>.<class>"``: ``map[str(pk)]`` is the Map of
  a row, as :mod:`collab.mirror` writes it, with primary keys where the serializer nests others:
  a list of them for ``many=True``, else one or ``None``;
- if the state is ``many=True``, a map ``"collab.anchors"`` with one entry, under the room's name:
  ``keys`` is the list of the primary keys of the rows that the rest hangs on, in order.

Rooms are named ``"<label>/<key>"``, or of a list ``"<label>/<arguments of the URL as JSON>"``; if
each user has a document of his own, with ``"@<key of the user>"`` behind that.

A row is in a document if it can be reached from an anchor. It is looked at when a row that leads
to it changes, so that only anchors have to know their rooms.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import router
from django.db.models import Model, Q, QuerySet

from collab.exceptions import NoSuchDocument
from collab.live.models import StateList
from collab.live.state.layers import Layer, owner_in

if TYPE_CHECKING:
    from collab.live.state.state_consumer import StateConsumer

__all__ = [
    "ANCHORS",
    "Arguments",
    "Room",
    "State",
    "add_state",
    "is_same",
    "room_of",
    "settled",
    "state_of",
    "states",
]

#: The map that has the order of the anchors.
ANCHORS = "collab.anchors"

#: What is in the URL of a connection, by name: numbers and texts.
Arguments = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class State:
    """What ``Meta`` of a consumer says of its state.

    Args:
        consumer_class: whose.
        label: the beginning of the names of its rooms.
        layers: by ``map_name``, the anchor's first.
        anchor: the layer that the others hang on.
        many: a document has a list of anchors; else it has one.
        per_user: each user has a document of his own.
        auto_update: anchors that are saved enter the lists that they belong to at once.
    """

    consumer_class: type[StateConsumer]
    label: str
    layers: Mapping[str, Layer]
    anchor: Layer
    many: bool
    per_user: bool
    auto_update: bool

    @property
    def is_writable(self) -> bool:
        """Clients may change something."""
        return any(layer.operations for layer in self.layers.values())

    def room_name(self, arguments: Arguments, user_id: object = None) -> str:
        """Return the name of the document for the arguments of a URL, and a user.

        Raises:
            NoSuchDocument: they are none of a row.
        """
        place = self._list_name(arguments) if self.many else quote(self._key(arguments), safe="")
        suffix = f"@{quote(str(user_id), safe='')}" if self.per_user else ""
        return f"{self.label}/{place}{suffix}"

    def _list_name(self, arguments: Arguments) -> str:
        if not arguments:
            return ""
        return json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def _key(self, arguments: Arguments) -> str:
        try:
            return self._key_of(self.consumer_class.get_instance_id(**arguments))
        except ValidationError as error:
            raise NoSuchDocument from error

    def _key_of(self, key: Any) -> str:
        return str(self.anchor.model._meta.pk.to_python(key))

    def room(self, name: str) -> Room | None:
        """Return the room of a name; ``None`` if it cannot be one's."""
        place = name.removeprefix(f"{self.label}/")
        if self.per_user:
            place, separator, _ = place.rpartition("@")
            if not separator:
                return None
        try:
            arguments = json.loads(place) if self.many and place else {}
            key = None if self.many else self._key_of(unquote(place))
        except (ValueError, ValidationError):
            return None
        return Room(self, name, arguments, key)

    def rooms_of(self, anchor: Model) -> list[str]:
        """Return the names of documents that an anchor may have to enter.

        Those that have it are known. A document with one anchor has it from the beginning.
        """
        if not self.auto_update:
            return []
        # The app need not be installed where there are no states.
        from collab.mirror.models import MirroredDocument

        using = router.db_for_write(MirroredDocument)
        documents = MirroredDocument.objects.using(using).filter(name__startswith=f"{self.label}/")
        rooms = (self.room(name) for name in documents.values_list("name", flat=True))
        return [room.name for room in rooms if room and room.may_have(anchor)]


@dataclass(frozen=True)
class Room:
    """A document of a state.

    Args:
        state: whose.
        name: of the document.
        arguments: of the URL, if it has a list of anchors.
        key: of the anchor, if it has one.
    """

    state: State
    name: str
    arguments: Arguments
    key: str | None

    @property
    def owner(self) -> str:
        """The primary key of the user whom it is for, if there is one."""
        return owner_in(self.name)

    def ask(self, question: str, *args: Any, **kwargs: Any) -> Any:
        """Call a class method of the consumer, with the arguments of the URL beside others."""
        method = getattr(self.state.consumer_class, question)
        return settled(method(*args, **kwargs, **self.arguments))

    def _ask_for_list(self, question: str, *args: Any) -> Any:
        user = {"user": _user(self.owner)} if self.state.per_user else {}
        return self.ask(question, *args, **user)

    def may_have(self, anchor: Model) -> bool:
        """Tell whether an anchor may be one of the list."""
        user_key = self.state.anchor.user_key
        if user_key and str(getattr(anchor, self.state.anchor.user_attribute)) != self.owner:
            return False
        return bool(self._ask_for_list("is_visible", anchor))

    # Its rows.

    def rows(self, layer: Layer) -> QuerySet[Any]:
        """Return the rows of a layer."""
        rows = self._anchors if layer is self.state.anchor else self._reached(layer)
        return rows.filter(**{layer.user_attribute: self.owner}) if layer.user_key else rows

    def _reached(self, layer: Layer) -> QuerySet[Any]:
        """Return the rows that rows of other layers lead to."""
        ways = (
            Q(pk__in=self.rows(other).order_by().values(relation.lookup))
            for other in self.state.layers.values()
            for relation in other.relations.values()
            if relation.map_name == layer.map_name
        )
        return _all(layer.model).filter(reduce(or_, ways))

    @cached_property
    def _anchors(self) -> QuerySet[Any]:
        rows = _all(self.state.anchor.model)
        if self.key is not None:
            return rows.filter(pk=self.key)
        added = Q(pk__in=[*self._changes.first, *self._changes.last])
        return rows.filter(added | Q(pk__in=self._listed)).exclude(pk__in=self._changes.without)

    @cached_property
    def _changes(self) -> StateList:
        return StateList.of(self.name)

    @cached_property
    def _listed(self) -> Any:
        """What ``list_instances()`` says: primary keys, or a query for them."""
        if self._changes.is_cleared:
            return []
        listed = self._ask_for_list("list_instances")
        return listed.values_list("pk", flat=True) if isinstance(listed, QuerySet) else [*listed]

    def anchor_keys(self) -> list[Any]:
        """Return the primary keys of the anchors, in order."""
        here = set(self.rows(self.state.anchor).values_list("pk", flat=True))
        read = self.state.anchor.model._meta.pk.to_python
        first, listed, last = (
            list(map(read, keys))
            for keys in (self._changes.first, self._listed, self._changes.last)
        )
        wanted = [*first, *(key for key in listed if key not in last), *last]
        return [key for key in dict.fromkeys(wanted) if key in here]


def _all(model: type[Model]) -> QuerySet[Any]:
    return model._default_manager.all()


def _user(key: str) -> Any:
    """Return a user whose fields are read when they are asked for."""
    model = get_user_model()
    field = model._meta.pk
    return model.from_db(router.db_for_read(model), [field.attname], [field.to_python(key)])


def settled(answer: Any) -> Any:
    """Return what a method of a project has returned; waits for it if it is asynchronous."""
    return async_to_sync(_wait_for)(answer) if inspect.isawaitable(answer) else answer


async def _wait_for(answer: Any) -> Any:
    return await answer


# All of them.

_states: dict[str, State] = {}


def states() -> list[State]:
    """Return all states that are declared."""
    return list(_states.values())


def state_of(consumer_class: type) -> State | None:
    """Return the state of a consumer class, if it has one."""
    return getattr(consumer_class, "state", None)


def room_of(name: str) -> Room | None:
    """Return the room of that name; ``None`` if it is not a state's."""
    state = _states.get(name.partition("/")[0])
    return state.room(name) if state else None


def add_state(state: State) -> None:
    """Let the documents of a state be found.

    Raises:
        ImproperlyConfigured: there is another one of that label.
    """
    known = _states.setdefault(state.label, state)
    if not is_same(known.consumer_class, state.consumer_class):
        raise ImproperlyConfigured(f"There are two consumers {state.label!r} with a state.")
    _states[state.label] = state


def is_same(one: type, other: type) -> bool:
    """Tell whether two classes are the same; a module may have been loaded anew."""
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)
