"""A model whose stale instances save only the fields that they have changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from copy import deepcopy
from typing import Any, ClassVar, Self

from django.db import models

from collab.mirror.querysets import MirroredManager
from collab.mirror.writers.changed_fields import save_changed

__all__ = ["MirroredModel"]

#: Attribute of instances: values by field, as they were loaded.
_LOADED = "_collab_loaded"


class MirroredModel(models.Model):
    """A model for mirrored rows, which people and code change at the same time.

    ``save()`` of an instance that was loaded writes the fields that the instance has changed since
    then. Without any it writes nothing, and sends no signals. Where a mirror has a field as Text,
    the changes of the instance and those of others since it was loaded are merged. If the row has
    been deleted meanwhile, ``save()`` raises ``DatabaseError``.

    With arguments other than ``using`` of the same database it saves like any model.
    """

    objects: ClassVar[Any] = MirroredManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the changes of the instance; see the class."""
        loaded = vars(self).get(_LOADED)
        if loaded is None or self._state.adding or not self._is_default(args, kwargs):
            super().save(*args, **kwargs)
            self._remember(kwargs.get("update_fields"))
            return
        changed = self._changed(loaded)
        bases = {name: loaded[name] for name in changed if isinstance(loaded.get(name), str)}
        save_changed(self, changed, bases)

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **kwargs: Any
    ) -> Self:
        """Remember the loaded values."""
        instance = super().from_db(db, field_names, values, **kwargs)
        instance._remember()
        return instance

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: Any = None,
    ) -> None:
        """Load values again, and remember them."""
        names = None if fields is None else list(fields)
        super().refresh_from_db(using=using, fields=names, from_queryset=from_queryset)
        self._remember(names)

    def _is_default(self, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
        """Return whether ``save()`` is called without arguments that matter."""
        using = kwargs.get("using") or self._state.db
        is_forced = kwargs.get("force_insert") or kwargs.get("force_update")
        is_partial = kwargs.get("update_fields") is not None
        return not (args or is_forced or is_partial) and using == self._state.db

    def _changed(self, loaded: dict[str, Any]) -> list[str]:
        values = vars(self)
        return [
            field.attname
            for field in self._meta.concrete_fields
            # A deferred field has no value.
            if field.attname in values
            and (field.attname not in loaded or loaded[field.attname] != values[field.attname])
        ]

    def _remember(self, names: Iterable[str] | None = None) -> None:
        """Remember present values, of all fields or of those with these names."""
        values, loaded = vars(self), vars(self).setdefault(_LOADED, {})
        chosen = None if names is None else set(names)
        for field in self._meta.concrete_fields:
            name = field.attname
            if name in values and (chosen is None or {field.name, name} & chosen):
                # A value such as a list may be changed in place.
                value = values[name]
                loaded[name] = deepcopy(value) if type(value).__hash__ is None else value
