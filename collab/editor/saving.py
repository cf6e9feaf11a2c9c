"""Saving and deleting of rows, as far as their documents are concerned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.db import router
from django.db.models import F, Model

from collab import documents
from collab.documents.policy import ensure_seeded
from collab.editor.document_types import document_name
from collab.editor.rows.columns import CollaborativeColumn, columns_of
from collab.editor.rows.tracking import loaded_texts, remember_inserted

__all__ = ["delete_document", "saved_value", "saving_documents"]

#: Attribute of instances that are being saved: columns whose documents follow the row, and whether
#: the row is inserted.
_FOLLOWED: Final = "_collab_followed"


def saved_value(column: CollaborativeColumn, row: Model, value: Any, add: bool) -> Any:
    """Return the value of a column that is saved, and write a changed text into the document.

    Args:
        column: it.
        row: the instance that is saved.
        value: the instance's.
        add: the row is inserted.
    """
    known = loaded_texts(row)
    if hasattr(value, "resolve_expression"):
        _follow(column, row, add)
        return value
    if add or known is None:
        _follow(column, row, add)
        saved = column.format.clean(value or "")
    elif known.bases.get(column.attname, value) == value:
        return F(column.attname)
    else:
        name = document_name(row, column.model)
        async_to_sync(ensure_seeded)(name)
        base = known.bases[column.attname]
        saved = column.format.write(name, column.name, value or "", base)
    vars(row)[column.attname] = saved if saved or value is not None else None
    return vars(row)[column.attname]


@contextmanager
def saving_documents(row: Model) -> Iterator[None]:
    """Make documents follow the columns that the block writes without regard to them."""
    # A receiver of a signal may save the row once more meanwhile.
    outer, followed = vars(row).get(_FOLLOWED), dict[CollaborativeColumn, bool]()
    vars(row)[_FOLLOWED] = followed
    try:
        yield
    finally:
        vars(row)[_FOLLOWED] = outer
    for model in {column.model for column in followed}:
        name = document_name(row, model)
        if documents.exists(name):
            columns = [column for column in followed if column.model is model]
            if any(followed[column] for column in columns):
                # A row of this key that is gone has left it; the next is made of the columns.
                documents.delete(name)
            else:
                _overwrite(name, row, columns)


def delete_document(sender: type[Model], instance: Model, **kwargs: Any) -> None:
    """Delete the document of a row that is deleted; a receiver of ``post_delete``."""
    documents.delete(document_name(instance, columns_of(sender)[0].model))


def _follow(column: CollaborativeColumn, row: Model, add: bool) -> None:
    if add:
        remember_inserted(row)
    # There is none while rows are inserted in bulk.
    if (followed := vars(row).get(_FOLLOWED)) is not None:
        followed[column] = add


def _overwrite(name: str, row: Model, columns: list[CollaborativeColumn]) -> None:
    model = columns[0].model
    rows = model._base_manager.using(router.db_for_write(model, instance=row)).filter(pk=row.pk)
    written = rows.values(*(column.attname for column in columns)).first() or {}
    for column in columns:
        text = column.format.write(name, column.name, written.get(column.attname) or "", None)
        if text != written.get(column.attname):
            rows.update(**{column.attname: text})
