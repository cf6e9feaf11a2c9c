"""Declarations for subscribable models: the type of their rows and of their filters."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldDoesNotExist

from collab.live.watching.subscriptions import ModelSubscription, subscriptions
from collab.mirror.registry import default_serializer

from .fields import Serializers, column_type
from .files import File, Files, block, literal, property_name

__all__ = ["declare_models"]


def declare_models(files: Files) -> None:
    """Declare a constant for each model registered with ``subscribable``.

    Raises:
        CommandError: two declarations have the same name.
    """
    serializers = Serializers(files)
    for subscription in subscriptions():
        _declare(subscription, files, serializers)


def _declare(subscription: ModelSubscription[Any], files: Files, serializers: Serializers) -> None:
    model = subscription.model
    file, name = files.of(model), model.__name__
    shown = _shown(subscription, file, serializers)
    filter_ = "Record<string, never>"
    if subscription.filter_fields:
        filter_ = f"{name}Filter"
        opening = f"export interface {filter_}"
        file.declare(filter_, model, lambda: block(opening, _filters(subscription)))
    text = (
        f"/** Subscribable rows of `{model._meta.label}`. */\n"
        f"export const {name}Model: collab.Model<{shown}, {filter_}> ="
        f" {{ label: {literal(model._meta.label)} }};"
    )
    file.declare(f"{name}Model", model, lambda: text)


def _shown(subscription: ModelSubscription[Any], file: File, serializers: Serializers) -> str:
    if subscription.serializer_class is not None:
        return serializers.shown(subscription.serializer_class(), file)
    model: Any = subscription.model
    name = f"Watched{model.__name__}"
    serializer = default_serializer(model, tuple(subscription.fields))()
    file.declare(name, model, lambda: serializers.interface(name, serializer, file))
    return name


def _filters(subscription: ModelSubscription[Any]) -> list[str]:
    return [
        f"{property_name(name)}?: {_filter_type(subscription.model, name)};"
        for name in subscription.filter_fields
    ]


def _filter_type(model: Any, lookup: str) -> str:
    """Return the type of a filter's value; unknown unless the lookup is a field."""
    try:
        return column_type(model._meta.get_field(lookup))
    except FieldDoesNotExist:
        return "unknown"
