"""The collaborative fields of each model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Field, Model

from collab.editor.rows.formats import FORMATS, TextFormat

if TYPE_CHECKING:
    TextColumn = Field[Any, Any]
else:
    TextColumn = Field

__all__ = ["CollaborativeColumn", "add_column", "collaborative_models", "columns_of"]


class CollaborativeColumn(TextColumn):
    """A column that holds the rendered text of a document, whose root has the field's name."""

    editor: str
    placeholder: str
    language: str
    history: bool

    @property
    def format(self) -> TextFormat:
        """The format of the column."""
        return FORMATS[self.editor]

    def editor_options(self) -> dict[str, Any]:
        """Return the options of the text's editor."""
        return {
            "editor": self.editor,
            "placeholder": self.placeholder,
            "language": self.language,
            "history": self.history,
        }


_columns: dict[type[Model], list[CollaborativeColumn]] = {}


def add_column(model: type[Model], column: CollaborativeColumn) -> None:
    """Add a column of the table of ``model``."""
    _columns.setdefault(model, []).append(column)


def collaborative_models() -> list[type[Model]]:
    """Return the models whose tables have collaborative columns."""
    return list(_columns)


def columns_of(model: type[Model]) -> list[CollaborativeColumn]:
    """Return the collaborative columns of the table of a model, which may be a proxy."""
    concrete: Any = model._meta.concrete_model
    return list(_columns.get(concrete, ()))
