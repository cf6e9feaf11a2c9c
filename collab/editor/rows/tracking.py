"""Texts of an instance that were assigned since it was loaded, with the texts before.

A model with collaborative fields gets three of its methods wrapped: ``from_db``,
``refresh_from_db`` and ``save_base``. So the fields need nothing of the project's classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Any, Final, NamedTuple

from django.db import router, transaction
from django.db.models import Model
from django.db.models.query_utils import DeferredAttribute

__all__ = ["LoadedTexts", "TrackedText", "loaded_texts", "remember_inserted", "track"]

#: Attribute of instances with their LoadedTexts.
_KEY: Final = "_collab_texts"
_NOTHING: Final[Mapping[str, str | None]] = {}


class LoadedTexts(NamedTuple):
    """The texts of an instance that is a stored row, as far as they are known.

    Immutable, since a copy of an instance shares it.
    """

    #: The primary key under which the row is stored; ``None`` if it was inserted in bulk.
    pk: Any
    #: Values of assigned texts before they were, by attribute; ``None`` of one that was deferred.
    bases: Mapping[str, str | None] = _NOTHING
    #: Values that are set now come from the database.
    is_loading: bool = False


def loaded_texts(instance: Model) -> LoadedTexts | None:
    """Return the record of an instance's texts; ``None`` if it is not the row it was."""
    known: LoadedTexts | None = vars(instance).get(_KEY)
    if known is None or (known.pk is None and instance._state.adding):
        return None
    return known if known.pk in (None, instance.pk) else None


def remember_inserted(instance: Model) -> None:
    """Remember that the values of an instance are those of a row."""
    vars(instance)[_KEY] = LoadedTexts(None)


class TrackedText(DeferredAttribute):
    """The attribute of a text, which remembers the text before an assignment."""

    def __set__(self, instance: Model, value: Any) -> None:
        values, name = vars(instance), self.field.attname
        known: LoadedTexts | None = values.get(_KEY)
        if known is not None and known.is_loading:
            values[_KEY] = known._replace(bases=_without(known.bases, [name]))
        elif known is not None and name not in known.bases:
            values[_KEY] = known._replace(bases={**known.bases, name: values.get(name)})
        values[name] = value


def track(model: type[Model], around: Callable[[Model], AbstractContextManager[None]]) -> None:
    """Track the instances of a model, unless they are.

    Args:
        model: it.
        around: returns a context in which an instance is saved, within the transaction.
    """
    if getattr(model, "_collab_is_tracked", False):
        return
    tracked: Any = model
    tracked._collab_is_tracked = True
    tracked.from_db = classmethod(_remembering(tracked.from_db.__func__))
    tracked.refresh_from_db = _loading(tracked.refresh_from_db)
    tracked.save_base = _saving(tracked.save_base, around)


def _remembering(from_db: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(from_db)
    def remember(cls: type[Model], *args: Any, **kwargs: Any) -> Any:
        instance = from_db(cls, *args, **kwargs)
        vars(instance)[_KEY] = LoadedTexts(instance.pk)
        return instance

    return remember


def _loading(refresh: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(refresh)
    def load(self: Model, *args: Any, **kwargs: Any) -> Any:
        with _marked_as_loading(self):
            return refresh(self, *args, **kwargs)

    return load


@contextmanager
def _marked_as_loading(instance: Model) -> Iterator[None]:
    values = vars(instance)
    known: LoadedTexts = values.get(_KEY) or LoadedTexts(instance.pk)
    values[_KEY] = known._replace(is_loading=True)
    try:
        yield
    finally:
        values[_KEY] = values[_KEY]._replace(is_loading=False)


def _saving(
    save_base: Callable[..., Any], around: Callable[[Model], AbstractContextManager[None]]
) -> Callable[..., Any]:
    """Save a row and its document in one transaction, and start anew from the saved texts."""

    @wraps(save_base)
    def save(self: Model, *args: Any, **kwargs: Any) -> Any:
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        if using != self._state.db:
            # In another database the row is another.
            vars(self).pop(_KEY, None)
        with transaction.atomic(using, savepoint=False), around(self):
            save_base(self, *args, **kwargs)
        known, names = loaded_texts(self), kwargs.get("update_fields")
        bases = _without(known.bases, names) if known is not None and names else _NOTHING
        vars(self)[_KEY] = LoadedTexts(self.pk, bases)

    vars(save)["alters_data"] = True
    return save


def _without(bases: Mapping[str, str | None], names: Any) -> Mapping[str, str | None]:
    return {name: base for name, base in bases.items() if name not in names}
