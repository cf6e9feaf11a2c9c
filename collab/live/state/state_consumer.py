"""What a consumer has of its state: which document, who may open it, and its list of anchors."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar

from channels.db import database_sync_to_async
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction
from django.db.models import Model

from collab.access import Access
from collab.consumers import YjsConsumer
from collab.exceptions import NoSuchDocument
from collab.live.actions.actions import action
from collab.live.errors import CallError
from collab.live.models import StateList
from collab.live.permissions import AllowAny

if TYPE_CHECKING:
    from collab.live.state.declared_state import State

__all__ = ["StateConsumer"]


class StateConsumer(YjsConsumer):
    """A consumer that may have a state: ``class Meta: state = ProjectSerializer()``.

    Beside ``state``, ``Meta`` may have ``writable``, what clients may do, by serializer; of a list
    ``auto_update``; and ``per_user``, which gives each user a document of his own, as a serializer
    with a ``user_key`` does. ``abstract`` leaves the state to subclasses.

    The class methods are asked for documents, not for connections. They are given what is in the
    URL by name, numbers and texts; those of lists also ``user``, if each user has his own.
    """

    #: What ``Meta`` declares.
    state: ClassVar[State | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        is_abstract = "Meta" in vars(cls) and vars(vars(cls)["Meta"]).get("abstract", False)
        has_state = hasattr(getattr(cls, "Meta", None), "state") and not is_abstract
        cls.state = _declare(cls) if has_state else None

    # To be overridden.

    def has_permission(self, user: Any, *args: Any, **kwargs: Any) -> Any:
        """Tell whether ``user`` may open the document; nobody may unless this says so.

        It may be asynchronous; if it is not, it is called in a thread, for its queries.
        """
        return False

    @classmethod
    def get_instance_id(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the primary key of the anchor; by default, the first of the URL's arguments."""
        return next(iter(kwargs.values()), None)

    @classmethod
    def list_instances(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a queryset of the anchors, in order, or their primary keys."""
        raise NotImplementedError(f"{cls.__name__} needs list_instances().")

    @classmethod
    def is_visible(cls, instance: Any, *args: Any, **kwargs: Any) -> Any:
        """Tell whether an anchor that was saved may be in the list; ``auto_update`` asks.

        What it says no to is not looked for in ``list_instances()``, which decides.
        """
        return True

    @classmethod
    def get_initial(
        cls, user: Any, serializer_class: Any, *args: Any, **kwargs: Any
    ) -> Mapping[str, Any]:
        """Return attributes of rows of a serializer that ``user`` adds, beside what he has written.

        The foreign key to the one anchor of a document, and the ``user_key``, need not be here.
        """
        return {}

    @classmethod
    def can_save(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> Any:
        """Tell whether ``user`` may change ``instance`` so; by default nobody may."""
        return False

    @classmethod
    def can_create(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> Any:
        """Tell whether ``user`` may add ``instance``; by default nobody may.

        It is not saved, and has what :meth:`get_initial` gives; the rest is in ``data``.
        """
        return False

    @classmethod
    def can_delete(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> Any:
        """Tell whether ``user`` may delete ``instance``; by default nobody may."""
        return False

    # To be used.

    async def add_instance(self, instance: Any, *, at_beginning: bool = False) -> None:
        """Put an anchor, or its primary key, into the list that all see who have it open."""
        await self._change_list(_add, instance, "first" if at_beginning else "last")

    async def remove_instance(self, instance: Any) -> None:
        """Take an anchor, or its primary key, out of the list."""
        await self._change_list(_remove, instance)

    async def clear(self) -> None:
        """Take all anchors out of the list; those of ``list_instances()`` do not come back."""
        await self._change_list(_clear)

    async def reset(self) -> None:
        """Let the list be what ``list_instances()`` says."""
        await self._change_list(_reset)

    @action(permission_classes=[AllowAny])
    async def settle_rows(self) -> None:
        """Answer when what was changed in the document until now is saved, or set back.

        Who has changed something is told before this what of it was not saved.
        """
        if self.state is None:
            raise CallError(404, "There is no state here.")
        self.room.flush()
        for watcher in self.room.watchers:
            await watcher.settle()

    # How it works.

    def make_room_name(self) -> str:
        """Return the name of the document of the state, if there is one; else see above."""
        if self.state is None:
            return super().make_room_name()
        return self.state.room_name(self._arguments, self._user_id())

    async def get_state_access(self) -> Access:
        """Return what the user may do in the document of the state."""
        assert self.state
        if self.state.per_user and self._user_id() is None:
            return Access.NONE
        if not await self._is_permitted():
            return Access.NONE
        if self._room is None:
            await database_sync_to_async(_prepare)(self.state, self.room_name)
        return Access.WRITE if self.state.is_writable else Access.READ

    async def _is_permitted(self) -> bool:
        ask: Any = self.has_permission
        if not iscoroutinefunction(ask):
            ask = database_sync_to_async(ask)
        answer = await ask(self.scope.get("user"), **self._arguments)
        if isawaitable(answer):
            answer = await answer
        return answer is not NotImplemented and bool(answer)

    @property
    def _arguments(self) -> dict[str, Any]:
        """What is in the URL, by name."""
        found: Mapping[str, Any] = self.scope.get("url_route", {}).get("kwargs", {})
        return {
            name: value if isinstance(value, int) else str(value) for name, value in found.items()
        }

    async def _change_list(self, change: Any, *args: Any) -> None:
        if self.state is None or not self.state.many:
            raise ImproperlyConfigured(
                f"{type(self).__name__} has no list: Meta.state has no many=True."
            )
        await database_sync_to_async(_change)(self.room_name, change, *args)


def _declare(consumer_class: type[StateConsumer]) -> State:
    if not apps.is_installed("collab.mirror"):
        raise ImproperlyConfigured(
            f"{consumer_class.__name__} has a state, which is rows that are mirrored: add"
            ' "collab.mirror" to INSTALLED_APPS.'
        )
    # Consumers without a state do not need that app, and so not its models.
    from collab.live.state.state_mirrors import declare

    return declare(consumer_class)


def _prepare(state: State, room_name: str) -> None:
    """See to it that a document can be opened.

    Raises:
        NoSuchDocument: its anchor does not exist.
    """
    if state.many:
        StateList.objects.using(_using()).get_or_create(name=room_name)
    elif not (room := state.room(room_name)) or not room.rows(state.anchor).exists():
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
