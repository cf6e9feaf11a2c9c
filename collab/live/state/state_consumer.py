"""A consumer's state: its document, access to it, and its list of root rows."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from channels.db import database_sync_to_async
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction
from django.db.models import Model

from collab.access import Access
from collab.consumers import YjsConsumer
from collab.engine.hub.identity import user_id_of
from collab.exceptions import NoSuchDocument
from collab.live.actions.actions import action
from collab.live.errors import CallError
from collab.live.models import StateList
from collab.live.permissions import AllowAny, ask
from collab.live.state.declared_state import State, state_of
from collab.live.state.own_lists import delete_old_lists, list_id_of
from collab.live.state.rules import StateRules

__all__ = ["StateConsumer", "state_access"]


#: Rules that are called with the user, the instance and the data.
_WRITE_RULES = frozenset({"can_create", "can_delete", "can_save"})


class StateConsumer(StateRules, YjsConsumer):
    """A consumer that may have a state: ``class Meta: state = ProjectSerializer()``.

    Beside ``state``, ``Meta`` may have ``writable``: operations of clients, by serializer;
    ``auto_update``, for a list; ``per_connection``, which gives each connection a list; and
    ``per_user``, which gives each user a document, as a serializer with a ``user_key`` does.
    ``abstract`` leaves the state to subclasses.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _WRITE_RULES & vars(cls).keys():
            _check_parameters(cls, name)
        is_abstract = "Meta" in vars(cls) and vars(vars(cls)["Meta"]).get("abstract", False)
        has_state = hasattr(getattr(cls, "Meta", None), "state") and not is_abstract
        if has_state:
            _declare(cls)

    # To be used.

    async def add_instance(self, instance: Any, *, at_beginning: bool = False) -> None:
        """Add a root row, or its primary key, to the list, for all connections that have it."""
        await _change_list(self, _add, instance, "first" if at_beginning else "last")

    async def remove_instance(self, instance: Any) -> None:
        """Remove a root row, or its primary key, from the list."""
        await _change_list(self, _remove, instance)

    async def clear(self) -> None:
        """Remove all root rows from the list, those of ``list_instances()`` included."""
        await _change_list(self, _clear)

    async def reset(self) -> None:
        """Restore the list to the result of ``list_instances()``."""
        await _change_list(self, _reset)

    @action(permission_classes=[AllowAny])
    async def settle_rows(self) -> None:
        """Answer when all changes made in the document so far are saved or set back.

        Refusals are sent before the answer.
        """
        if state_of(type(self)) is None:
            raise CallError(404, "This consumer has no state.")
        assert self._collab_connection is not None
        room = self._collab_connection.room
        room.flush()
        for watcher in room.watchers:
            await watcher.settle()

    # Called by the connection.

    def make_room_name(self) -> str:
        """Return the name of the state's document; without a state, the URL's ``room``."""
        state = state_of(type(self))
        if state is None:
            return super().make_room_name()
        return _new_document_name(self, state)


async def state_access(consumer: StateConsumer) -> Access:
    """Return the access of a consumer's user to the document of its state."""
    state = state_of(type(consumer))
    assert state is not None
    if state.per_user and user_id_of(consumer.scope) is None:
        return Access.NONE
    arguments = _url_arguments(consumer)
    if not await ask(consumer.has_permission, consumer.scope.get("user"), **arguments):
        return Access.NONE
    connection = consumer._collab_connection
    if connection is None or not connection.has_room:
        await database_sync_to_async(_prepare)(state, _document_name(consumer, state))
    return Access.WRITE if state.is_writable else Access.READ


def _url_arguments(consumer: StateConsumer) -> dict[str, Any]:
    """Return the URL's arguments by name."""
    found: Mapping[str, Any] = consumer.scope.get("url_route", {}).get("kwargs", {})
    return {name: value if isinstance(value, int) else str(value) for name, value in found.items()}


def _document_name(consumer: StateConsumer, state: State) -> str:
    connection = consumer._collab_connection
    if connection is None or connection.room_name is None:
        return _new_document_name(consumer, state)
    return connection.room_name


def _new_document_name(consumer: StateConsumer, state: State) -> str:
    user_id, list_id = user_id_of(consumer.scope), list_id_of(consumer.scope)
    return state.room_name(_url_arguments(consumer), user_id, list_id)


async def _change_list(consumer: StateConsumer, change: Any, *args: Any) -> None:
    state = state_of(type(consumer))
    if state is None or not state.many:
        raise ImproperlyConfigured(
            f"{type(consumer).__name__} has no list: write many=True in Meta.state."
        )
    await database_sync_to_async(_change)(_document_name(consumer, state), change, *args)


def _check_parameters(consumer_class: type, name: str) -> None:
    """Check the parameters of a rule, which has others in RxDjango.

    Raises:
        TypeError: it does not expect the user first.
    """
    rule = inspect.getattr_static(consumer_class, name)
    names = list(inspect.signature(getattr(rule, "__func__", rule)).parameters.values())
    # Of a method, the class or the instance comes first.
    given = names[0 if isinstance(rule, staticmethod) else 1 :]
    if given and given[0].kind is not inspect.Parameter.VAR_POSITIONAL and given[0].name != "user":
        raise TypeError(
            f"{consumer_class.__qualname__}.{name}() is called with the user, the instance and the"
            f" data, not with {given[0].name}: write @classmethod and"
            f" def {name}(cls, user, instance, data, **kwargs)."
        )


def _declare(consumer_class: type[StateConsumer]) -> None:
    if not apps.is_installed("collab.mirror"):
        raise ImproperlyConfigured(
            f"{consumer_class.__name__} has a state, which needs mirrored rows: add"
            ' "collab.mirror" to INSTALLED_APPS.'
        )
    # Consumers without a state need neither that app nor its models.
    from collab.live.state.state_mirrors import declare

    declare(consumer_class)


def _prepare(state: State, room_name: str) -> None:
    """Create the list of a document, or check that its root row exists.

    Raises:
        NoSuchDocument: the root row does not exist.
    """
    if state.per_connection:
        delete_old_lists(state)
    if state.many:
        StateList.objects.using(_using()).get_or_create(name=room_name)
    elif not (document := state.document(room_name)) or not document.rows(state.root).exists():
        raise NoSuchDocument


def _using() -> str:
    return router.db_for_write(StateList)


def _change(room_name: str, change: Any, *args: Any) -> None:
    with transaction.atomic(_using()):
        lists = StateList.objects.using(_using())
        lists.get_or_create(name=room_name)
        changes = lists.select_for_update().get(name=room_name)
        change(changes, *args)
        changes.save()


def _key(instance: Any) -> str:
    return str(instance.pk if isinstance(instance, Model) else instance)


def _remove(changes: StateList, instance: Any) -> None:
    key = _key(instance)
    for keys in (changes.first, changes.last, changes.without):
        if key in keys:
            keys.remove(key)
    changes.without.append(key)


def _add(changes: StateList, instance: Any, place: str) -> None:
    _remove(changes, instance)
    changes.without.remove(_key(instance))
    if place == "first":
        changes.first.insert(0, _key(instance))
    else:
        changes.last.append(_key(instance))


def _reset(changes: StateList) -> None:
    changes.is_cleared, changes.first, changes.last, changes.without = False, [], [], []


def _clear(changes: StateList) -> None:
    _reset(changes)
    changes.is_cleared = True
