"""System checks for declarations of states that cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import getattr_static
from typing import Any, cast

from django.core.checks import CheckMessage, Error, register

from collab.engine.connections.routes import full_name
from collab.live.state.declared_state import State, states
from collab.live.state.state_consumer import StateConsumer
from collab.live.state.tables import CREATE, Operation, Table

__all__ = ["check_states"]

#: ``manage.py check --tag collab`` runs these with the others of the project.
TAG = "collab"

#: Rules that are asked for without a connection.
_OF_THE_CLASS = (
    "get_instance_id",
    "list_instances",
    "is_visible",
    "get_initial",
    "can_save",
    "can_create",
    "can_delete",
)

#: The id of a check, the fault, and the remedy.
Problem = tuple[str, str, str]


@register(TAG)
def check_states(**kwargs: object) -> list[CheckMessage]:
    """Check access, lists and operations of states."""
    return [
        Error(
            f"{full_name(state.consumer_class)} {text}", hint=hint, obj=state.consumer_class, id=id_
        )
        for state in states()
        for id_, text, hint in _problems(state)
    ]


def _problems(state: State) -> Iterator[Problem]:
    yield from _closed(state)
    yield from _unlisted(state)
    yield from _bound(state)
    yield from _wrong_writable(state)
    for table in state.tables.values():
        yield from _unanswered(state, table)
        yield from _placeless(state, table)


def _closed(state: State) -> Iterator[Problem]:
    if not _overrides(state, "has_permission"):
        hint = (
            "Write async def has_permission(self, user, **kwargs) that returns True for users"
            " with access. kwargs are the URL's arguments."
        )
        yield "collab.E015", "has no has_permission(), so nobody may open its state.", hint


def _unlisted(state: State) -> Iterator[Problem]:
    if state.many and not _overrides(state, "list_instances"):
        hint = (
            "Write a class method list_instances(cls, **kwargs) that returns a queryset. kwargs are"
            " the URL's arguments."
        )
        yield "collab.E016", "has a state with many=True, but no list_instances().", hint


def _bound(state: State) -> Iterator[Problem]:
    for name in _OF_THE_CLASS:
        if not isinstance(getattr_static(state.consumer_class, name), classmethod | staticmethod):
            hint = f"Write @classmethod above {name}(); it is called without a connection."
            yield "collab.E016", f"has a {name}() that is not a class method.", hint


def _wrong_writable(state: State) -> Iterator[Problem]:
    meta = cast("Any", state.consumer_class).Meta
    writable: Any = getattr(meta, "writable", {})
    shown = {table.serializer_class for table in state.tables.values()}
    for serializer, operations in writable.items():
        if serializer not in shown:
            text = f"has {_class_name(serializer)} in Meta.writable, which is not in its state."
            known = ", ".join(sorted(map(_class_name, shown)))
            yield "collab.E017", text, f"Serializers in the state: {known}."
        if not set(operations) <= set(Operation):
            text = f"has unknown operations for {_class_name(serializer)}."
            yield "collab.E017", text, "Operations are SAVE, CREATE and DELETE of collab.live."


def _unanswered(state: State, table: Table) -> Iterator[Problem]:
    for operation in sorted(table.operations & set(Operation)):
        if not _overrides(state, name := f"can_{operation}"):
            serializer = table.serializer_class.__name__
            text = f"lets clients {operation} rows of {serializer}, but nobody may."
            hint = (
                f"Write a class method {name}(cls, user, instance, data) that returns True for"
                " users who may."
            )
            yield "collab.E017", text, hint


def _placeless(state: State, table: Table) -> Iterator[Problem]:
    """Yield a problem if rows that clients create in a table would not be in the document."""
    if CREATE not in table.operations or table is state.root:
        return
    fields = [parent.field for parent in table.parents if parent.field]
    is_given = not state.many and [p.map_name for p in table.parents] == [state.root.map_name]
    if not fields and not is_given:
        text = (
            f"lets clients create rows of {table.serializer_class.__name__}, which would have no"
            " parent."
        )
        keys = " or ".join(repr(parent.foreign_key.name) for parent in table.parents)
        hint = f"Make the field {keys} of the serializer writable."
        if not keys:
            hint = "Remove CREATE: only rows with a foreign key to their parent can be created."
        yield "collab.E018", text, hint


def _overrides(state: State, name: str) -> bool:
    base = getattr_static(StateConsumer, name)
    return getattr_static(state.consumer_class, name) is not base


def _class_name(serializer: Any) -> str:
    return getattr(serializer, "__name__", repr(serializer))
