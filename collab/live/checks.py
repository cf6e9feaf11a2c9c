"""System checks: which states are declared so that they cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import getattr_static
from typing import Any

from django.core.checks import CheckMessage, Error, register

from collab.live.state.declared_state import State, states
from collab.live.state.layers import CREATE, Layer, Operation
from collab.live.state.state_consumer import StateConsumer

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
    for layer in state.layers.values():
        yield from _unanswered(state, layer)
        yield from _placeless(state, layer)


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
    writable: Any = getattr(state.consumer_class.Meta, "writable", {})
    shown = {layer.serializer_class for layer in state.layers.values()}
    for serializer, operations in writable.items():
        if serializer not in shown:
            text = f"has {_class_name(serializer)} in Meta.writable, which is no part of its state."
            known = ", ".join(sorted(map(_class_name, shown)))
            yield "collab.E017", text, f"There are {known}."
        if not set(operations) <= set(Operation):
            text = f"has operations that there are not for {_class_name(serializer)}."
            yield "collab.E017", text, "There are SAVE, CREATE and DELETE of collab.live."


def _unanswered(state: State, layer: Layer) -> Iterator[Problem]:
    for operation in sorted(layer.operations & set(Operation)):
        if not _overrides(state, name := f"can_{operation}"):
            serializer = layer.serializer_class.__name__
            text = f"lets clients {operation} rows of {serializer}, but nobody may."
            hint = (
                f"Write a class method {name}(cls, user, instance, data) that returns True for"
                " those who may."
            )
            yield "collab.E017", text, hint


def _placeless(state: State, layer: Layer) -> Iterator[Problem]:
    """Yield that new rows of a layer would not be where the document finds them."""
    if CREATE not in layer.operations or layer is state.anchor:
        return
    fields = [parent.field for parent in layer.parents if parent.field]
    is_given = not state.many and [p.map_name for p in layer.parents] == [state.anchor.map_name]
    if not fields and not is_given:
        text = (
            f"lets clients add rows of {layer.serializer_class.__name__}, which would belong to"
            " nothing."
        )
        keys = " or ".join(repr(parent.foreign_key.name) for parent in layer.parents)
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
