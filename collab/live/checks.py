"""System checks: which states are declared so that they cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import getattr_static
from typing import Any, cast

from django.core.checks import CheckMessage, Error, register

from collab.live.state.declared_state import State, states
from collab.live.state.state_consumer import StateConsumer
from collab.live.state.tables import CREATE, Operation, Table

__all__ = ["check_states"]

#: ``manage.py check --tag collab`` runs these with the others of the project.
TAG = "collab"

#: What is asked without a connection.
_OF_THE_CLASS = (
    "get_instance_id",
    "list_instances",
    "is_visible",
    "get_initial",
    "can_save",
    "can_create",
    "can_delete",
)

#: The id of a check, what is wrong, and what to write instead.
Problem = tuple[str, str, str]


@register(TAG)
def check_states(**kwargs: object) -> list[CheckMessage]:
    """Check who may open states, what is in lists, and what clients may change."""
    return [
        Error(f"{_name(state)} {text}", hint=hint, obj=state.consumer_class, id=id_)
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
            "Write async def has_permission(self, user, **kwargs), which returns True for those"
            " who may. kwargs are those of the URL."
        )
        yield "collab.E015", "does not say who may open its state, so that nobody may.", hint


def _unlisted(state: State) -> Iterator[Problem]:
    if state.many and not _overrides(state, "list_instances"):
        hint = (
            "Write a class method list_instances(cls, **kwargs) that returns a queryset. kwargs are"
            " those of the URL."
        )
        yield "collab.E016", "has a state with many=True, and does not say of what.", hint


def _bound(state: State) -> Iterator[Problem]:
    for name in _OF_THE_CLASS:
        if not isinstance(getattr_static(state.consumer_class, name), classmethod | staticmethod):
            hint = f"Write @classmethod before {name}(); it is asked without a connection."
            yield "collab.E016", f"has a {name}() that is no class method.", hint


def _wrong_writable(state: State) -> Iterator[Problem]:
    meta = cast("Any", state.consumer_class).Meta
    writable: Any = getattr(meta, "writable", {})
    shown = {table.serializer_class for table in state.tables.values()}
    for serializer, operations in writable.items():
        if serializer not in shown:
            text = f"has {_class_name(serializer)} in Meta.writable, which is no part of its state."
            known = ", ".join(sorted(map(_class_name, shown)))
            yield "collab.E017", text, f"There are {known}."
        if not set(operations) <= set(Operation):
            text = f"has operations that there are not for {_class_name(serializer)}."
            yield "collab.E017", text, "There are SAVE, CREATE and DELETE of collab.live."


def _unanswered(state: State, table: Table) -> Iterator[Problem]:
    for operation in sorted(table.operations & set(Operation)):
        if not _overrides(state, name := f"can_{operation}"):
            serializer = table.serializer_class.__name__
            text = f"lets clients {operation} rows of {serializer}, but nobody may."
            hint = (
                f"Write a class method {name}(cls, user, instance, data) that returns True for"
                " those who may."
            )
            yield "collab.E017", text, hint


def _placeless(state: State, table: Table) -> Iterator[Problem]:
    """Yield that new rows of a table would not be where the document finds them."""
    if CREATE not in table.operations or table is state.root:
        return
    fields = [parent.field for parent in table.parents if parent.field]
    is_given = not state.many and [p.map_name for p in table.parents] == [state.root.map_name]
    if not fields and not is_given:
        text = (
            f"lets clients add rows of {table.serializer_class.__name__}, which would belong to"
            " nothing."
        )
        keys = " or ".join(repr(parent.foreign_key.name) for parent in table.parents)
        hint = f"Let clients write the field {keys} of the serializer."
        if not keys:
            hint = "Leave out CREATE: only rows that others lead to by a foreign key can be added."
        yield "collab.E018", text, hint


def _overrides(state: State, name: str) -> bool:
    base = getattr_static(StateConsumer, name)
    return getattr_static(state.consumer_class, name) is not base


def _name(state: State) -> str:
    return f"{state.consumer_class.__module__}.{state.consumer_class.__qualname__}"


def _class_name(serializer: Any) -> str:
    return getattr(serializer, "__name__", repr(serializer))
