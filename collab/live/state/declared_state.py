"""States: rows of a nested serializer, in a document that follows them.

``class Meta: state = ProjectSerializer()`` on a consumer declares a state. Its document has

- a map for each serializer class, named ``"<app label>.<class>"``: ``map[str(pk)]`` is the Map of
  a row, as :mod:`collab.mirror` writes it. A nested serializer is replaced by primary keys: a list
  for ``many=True``, otherwise one key or ``None``;
- if the state is ``many=True``, a map ``"collab.roots"`` with one entry, under the room's name:
  ``keys`` is the ordered list of the root rows' primary keys.

A room is named ``"<label>/<key>"``, or for a list ``"<label>/<arguments of the URL as JSON>"``. If
each connection has a list, ``"~<id of the list>"`` follows; if each user has a document,
``"@<key of the user>"``.

A row belongs to a document if a root row leads to it. A row is examined when a row that leads to it
changes, so only root rows have to know their rooms.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Any
from urllib.parse import quote, unquote

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import router
from django.db.models import Model, Q, QuerySet

from collab.exceptions import NoSuchDocument
from collab.live.models import StateList
from collab.live.state.rules import StateRules
from collab.live.state.tables import Table, owner_in

__all__ = [
    "ROOT_ROWS",
    "Arguments",
    "State",
    "StateDocument",
    "add_state",
    "is_same",
    "resolve",
    "state_document",
    "state_of",
    "states",
]

#: The map with the order of the root rows.
ROOT_ROWS = "collab.roots"

#: Arguments of a connection's URL by name: numbers and texts.
Arguments = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class State:
    """A state as ``Meta`` of a consumer declares it.

    Args:
        consumer_class: the consumer, with the rules of the state.
        label: the first part of its rooms' names.
        tables: by ``map_name``, starting with that of the root rows.
        root: the table of the root rows, which lead to all others.
        many: a document has a list of root rows; otherwise it has one.
        per_user: each user has a document.
        auto_update: a saved root row enters the lists it belongs to at once.
        per_connection: each connection has a list.
    """

    consumer_class: type[StateRules]
    label: str
    tables: Mapping[str, Table]
    root: Table
    many: bool
    per_user: bool
    auto_update: bool
    per_connection: bool

    @property
    def is_writable(self) -> bool:
        """Whether clients may change rows."""
        return any(table.operations for table in self.tables.values())

    def room_name(
        self, arguments: Arguments, user_id: object = None, list_id: str | None = None
    ) -> str:
        """Return the document's name for the arguments of a URL, a user and a connection's list.

        Raises:
            NoSuchDocument: no row can have the key in these arguments.
        """
        place = self._list_name(arguments) if self.many else quote(self._key(arguments), safe="")
        own = f"~{list_id}" if self.per_connection else ""
        suffix = f"@{quote(str(user_id), safe='')}" if self.per_user else ""
        return f"{self.label}/{place}{own}{suffix}"

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
        return str(self.root.model._meta.pk.to_python(key))

    def document(self, name: str) -> StateDocument | None:
        """Return the document with a name; ``None`` if no document has such a name."""
        place = name.removeprefix(f"{self.label}/")
        for has_part, mark in ((self.per_user, "@"), (self.per_connection, "~")):
            if has_part:
                place, separator, _ = place.rpartition(mark)
                if not separator:
                    return None
        try:
            arguments = json.loads(place) if self.many and place else {}
            key = None if self.many else self._key_of(unquote(place))
        except (ValueError, ValidationError):
            return None
        return StateDocument(self, name, arguments, key)

    def documents_for(self, root_row: Model) -> list[str]:
        """Return the names of the documents that a saved root row may have to enter.

        Documents that already contain it are not looked up here, and a document with one root row
        contains it from the beginning.
        """
        if not self.auto_update:
            return []
        # A project without states need not install the app.
        from collab.mirror.models import MirroredDocument

        using = router.db_for_write(MirroredDocument)
        stored = MirroredDocument.objects.using(using).filter(name__startswith=f"{self.label}/")
        documents = (self.document(name) for name in stored.values_list("name", flat=True))
        return [each.name for each in documents if each and each.can_contain(root_row)]


@dataclass(frozen=True)
class StateDocument:
    """A document of a state.

    Args:
        state: the state.
        name: of the document.
        arguments: of the URL, if the document has a list of root rows.
        key: of the root row, if the document has one.
    """

    state: State
    name: str
    arguments: Arguments
    key: str | None

    @property
    def owner(self) -> str:
        """The primary key of the user that the document belongs to, if there is one."""
        return owner_in(self.name)

    def ask(self, question: str, *args: Any, **kwargs: Any) -> Any:
        """Call a rule of the consumer with the arguments of the URL beside others."""
        method = getattr(self.state.consumer_class, question)
        return resolve(method(*args, **kwargs, **self.arguments))

    def _ask_for_list(self, question: str, *args: Any) -> Any:
        user = {"user": _user(self.owner)} if self.state.per_user else {}
        return self.ask(question, *args, **user)

    def can_contain(self, root_row: Model) -> bool:
        """Return whether a root row can be in the list."""
        user_key = self.state.root.user_key
        if user_key and str(getattr(root_row, self.state.root.user_attribute)) != self.owner:
            return False
        return bool(self._ask_for_list("is_visible", root_row))

    # Rows.

    def rows(self, table: Table) -> QuerySet[Any]:
        """Return the rows of a table."""
        rows = self._root_rows if table is self.state.root else self._reached(table)
        return rows.filter(**{table.user_attribute: self.owner}) if table.user_key else rows

    def _reached(self, table: Table) -> QuerySet[Any]:
        """Return the rows of a table that rows of other tables lead to."""
        ways = (
            Q(pk__in=self.rows(other).order_by().values(relation.lookup))
            for other in self.state.tables.values()
            for relation in other.relations.values()
            if relation.map_name == table.map_name
        )
        return _all(table.model).filter(reduce(or_, ways))

    @cached_property
    def _root_rows(self) -> QuerySet[Any]:
        rows = _all(self.state.root.model)
        if self.key is not None:
            return rows.filter(pk=self.key)
        added = Q(pk__in=[*self._changes.first, *self._changes.last])
        return rows.filter(added | Q(pk__in=self._listed)).exclude(pk__in=self._changes.without)

    @cached_property
    def _changes(self) -> StateList:
        return StateList.of(self.name)

    @cached_property
    def _listed(self) -> Any:
        """The result of ``list_instances()``: primary keys, or a query for them."""
        if self._changes.is_cleared:
            return []
        listed = self._ask_for_list("list_instances")
        return listed.values_list("pk", flat=True) if isinstance(listed, QuerySet) else [*listed]

    def root_keys(self) -> list[Any]:
        """Return the primary keys of the root rows, in order."""
        here = set(self.rows(self.state.root).values_list("pk", flat=True))
        read = self.state.root.model._meta.pk.to_python
        first, listed, last = (
            list(map(read, keys))
            for keys in (self._changes.first, self._listed, self._changes.last)
        )
        wanted = [*first, *(key for key in listed if key not in last), *last]
        return [key for key in dict.fromkeys(wanted) if key in here]


def _all(model: type[Model]) -> QuerySet[Any]:
    return model._default_manager.all()


def _user(key: str) -> Any:
    """Return a user whose fields are loaded on first access."""
    model = get_user_model()
    field = model._meta.pk
    return model.from_db(router.db_for_read(model), [field.attname], [field.to_python(key)])


def resolve(answer: Any) -> Any:
    """Return the result of a project's method, waiting for it if it is a coroutine."""
    return async_to_sync(_wait_for)(answer) if inspect.isawaitable(answer) else answer


async def _wait_for(answer: Any) -> Any:
    return await answer


# The states of the project.

_states: dict[str, State] = {}
_by_class: dict[type, State] = {}


def states() -> list[State]:
    """Return all declared states."""
    return list(_states.values())


def state_of(consumer_class: type) -> State | None:
    """Return the state of a consumer class, if it has one."""
    return _by_class.get(consumer_class)


def state_document(name: str) -> StateDocument | None:
    """Return the document with a name; ``None`` if it belongs to no state."""
    state = _states.get(name.partition("/")[0])
    return state.document(name) if state else None


def add_state(state: State) -> None:
    """Register a state, so that its documents are found by name.

    Raises:
        ImproperlyConfigured: another state has this label.
    """
    known = _states.setdefault(state.label, state)
    if not is_same(known.consumer_class, state.consumer_class):
        raise ImproperlyConfigured(f"Two consumers with a state are called {state.label!r}.")
    _states[state.label] = _by_class[state.consumer_class] = state


def is_same(one: type, other: type) -> bool:
    """Return whether two classes have the same path; a module may have been reloaded."""
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)
