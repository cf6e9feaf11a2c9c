"""Changes of many rows at once: Django sends no signals for them, these querysets do.

A project's models import this module, so nothing here needs models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

from django.db import router, transaction
from django.db.models import Manager, Model, QuerySet
from django.dispatch import Signal

from collab_storage.chunks import CHUNK

__all__ = ["MirroredManager", "MirroredQuerySet", "rows_changed", "rows_created", "touch"]

M = TypeVar("M", bound=Model)

#: Rows of ``sender`` with the primary keys ``keys`` change in the transaction on ``using``.
rows_changed = Signal()
#: Rows of ``sender`` were inserted; the primary keys of ``instances`` may be unknown, and with
#: ``may_exist`` some may have existed before.
rows_created = Signal()

_WAYS = ("ignore", "update")


class MirroredQuerySet(QuerySet[M]):
    """A queryset whose ``update()``, ``bulk_create()`` and ``bulk_update()`` reach documents.

    ``delete()``, ``get_or_create()`` and the like of any queryset do.
    """

    def update(self, **kwargs: Any) -> int:
        """Update the rows as ``QuerySet.update()`` does, in a transaction."""
        self._for_write = True
        if not rows_changed.has_listeners(self.model):
            return super().update(**kwargs)
        with transaction.atomic(self.db):
            # Before, as the filter may not match them afterwards. Rows that match only then are not
            # updated, as if this had happened a moment earlier.
            keys = _keys(self, self.db)
            rows_changed.send(self.model, keys=keys, using=self.db)
            # Without keys it still validates the names of the fields.
            starts = range(0, len(keys) or 1, CHUNK)
            return sum(self._update_these(keys[i : i + CHUNK], kwargs) for i in starts)

    update.alters_data = True  # type: ignore[attr-defined]

    def _update_these(self, keys: Sequence[Any], values: dict[str, Any]) -> int:
        return super(MirroredQuerySet, self.filter(pk__in=keys)).update(**values)

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """Insert rows as ``QuerySet.bulk_create()`` does."""
        self._for_write = True
        # By position: the size of a batch, and both ways to handle existing rows.
        may_exist = any(args[1:3]) or any(kwargs.get(f"{way}_conflicts") for way in _WAYS)
        with transaction.atomic(self.db, savepoint=False):
            created = super().bulk_create(objs, *args, **kwargs)
            rows_created.send(self.model, instances=created, using=self.db, may_exist=may_exist)
        return created

    bulk_create.alters_data = True  # type: ignore[attr-defined]


#: A manager with the methods of :class:`MirroredQuerySet`.
MirroredManager = Manager.from_queryset(MirroredQuerySet)


def touch(queryset: QuerySet[Any, Any]) -> None:
    """Write rows into documents that were changed without Django's signals.

    After SQL of your own, for example. Rows that it has deleted leave when the document is opened
    next, or by ``manage.py collab_reconcile``. Inside a transaction it happens after the commit.
    """
    using = cast("Any", queryset)._db or router.db_for_write(queryset.model)
    rows_changed.send(queryset.model, keys=_keys(queryset, using), using=using)


def _keys(queryset: QuerySet[Any, Any], using: str) -> list[Any]:
    return list(queryset.using(using).order_by().values_list("pk", flat=True))
