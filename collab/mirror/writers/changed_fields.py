"""Saves changed fields of a row only, and merges texts that others have changed, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Model
from rest_framework.utils.model_meta import get_field_info

from collab.documents.merging.forms import save_columns
from collab.documents.merging.texts import merged_texts
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
    using = router.db_for_write(type(instance), instance=instance)
    changed = {
        field.name
        for field in instance._meta.concrete_fields
        if {field.name, field.attname} & set(names)
    }
    texts = changed & bases.keys() & text_columns(type(instance)) if bases else set()
    with transaction.atomic(using) if texts else nullcontext():
        if texts:
            _merge(instance, using, {name: bases[name] for name in sorted(texts)})
        save_columns(instance, names)


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


def _merge(instance: Model, using: str, bases: Mapping[str, str]) -> None:
    rows = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    if connections[using].features.has_select_for_update:
        rows = rows.select_for_update()
    there = rows.values(*bases).first()
    if there is not None:
        values = {name: getattr(instance, name) or "" for name in bases}
        for name, text in merged_texts(bases, values, there).items():
            setattr(instance, name, text)
