"""Saves changed fields of a row only, and merges texts that others have changed, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Model
from rest_framework.utils.model_meta import get_field_info

from collab.documents.merging.forms import save_merged
from collab.mirror.registry import mirrors
from collab.mirror.rows.relations import concrete

__all__ = ["save_changed", "save_values", "text_columns"]


def text_columns(model: type[Model]) -> frozenset[str]:
    """Return the fields of a model that its mirrors show as Text."""
    return frozenset(
        str(serializer().fields[name].source)
        for mirror in mirrors()
        if issubclass(concrete(model), concrete(mirror.model))
        for serializer in mirror.serializers()
        for name in mirror.text_fields
        if name in serializer().fields
    )


def save_changed(instance: Model, names: Collection[str], bases: Mapping[str, str]) -> None:
    """Save fields of a stored row, and no others.

    Args:
        instance: the row, with their new values.
        names: of the changed fields.
        bases: texts that the changes started from, by field. If others have changed such a text
            since, both changes are in the row, and in the instance.

    Raises:
        DatabaseError: the row has been deleted.
    """
    changed = {
        field.name
        for field in instance._meta.concrete_fields
        if {field.name, field.attname} & set(names)
    }
    texts = changed & bases.keys() & text_columns(type(instance)) if bases else set()
    save_merged(instance, changed, {name: bases[name] for name in texts})


def save_values(instance: Model, values: Mapping[str, Any]) -> None:
    """Save the values of a serializer that differ, and no others.

    An attribute that is not a field, such as a property, makes it save the whole row.
    """
    relations = get_field_info(type(instance)).relations
    many = {name for name in values if name in relations and relations[name].to_many}
    changed = {name for name in values.keys() - many if values[name] != getattr(instance, name)}
    for name in changed:
        setattr(instance, name, values[name])
    if changed <= {field.name for field in instance._meta.concrete_fields}:
        save_changed(instance, changed, {})
    else:
        instance.save()
    for name in many:
        getattr(instance, name).set(values[name])
