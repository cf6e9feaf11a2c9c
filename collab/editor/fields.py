"""A text of a row that people edit together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.apps import apps
from django.core import checks
from django.db import models
from django.db.models import Model
from django.db.models.signals import class_prepared, post_delete

from collab.editor.checks import check_field
from collab.editor.options import Editor
from collab.editor.rows.columns import CollaborativeColumn, add_column, columns_of
from collab.editor.rows.tracking import TrackedText, track
from collab.editor.saving import delete_document, saved_value, saving_documents

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField

__all__ = ["CollaborativeTextField"]


class CollaborativeTextField(TextField, CollaborativeColumn):
    """A text that people edit together, each row's in a document.

    The column holds the rendered text. It is stored a moment after the last change, and may be
    queried, shown and exported as that of any ``TextField``. A value that is assigned and saved is
    written into the document as the smallest edit. Values that are not assigned are never saved, so
    that an instance takes nothing back.

    Args:
        editor: ``"rich"``, whose column holds HTML that is safe to be put into a page,
            ``"markdown"``, ``"code"`` or ``"plain"``.
        placeholder: a text for an empty editor.
        language: of code, such as ``"python"``, for its colours.
        history: keep versions of the text, and offer them in its editors; the project's URLs must
            include ``collab.history.urls``.

    ``blank`` is true by default: people can empty a text at any time.
    """

    descriptor_class: Any = TrackedText
    #: Options that Django's fields do not have, with their defaults.
    _own: ClassVar = {
        "editor": "rich",
        "placeholder": "",
        "language": "",
        "history": False,
        "blank": True,
    }

    def __init__(
        self,
        *args: Any,
        editor: Editor = "rich",
        placeholder: str = "",
        language: str = "",
        history: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **{"blank": True, **kwargs})
        self.editor = editor
        self.placeholder = placeholder
        self.language = language
        self.history = history

    def deconstruct(self) -> Any:
        """Return the field as migrations write it."""
        name, path, args, kwargs = super().deconstruct()
        for option, default in self._own.items():
            kwargs.pop(option, None)
            if (value := getattr(self, option)) != default:
                kwargs[option] = value
        return name, path, args, kwargs

    def contribute_to_class(self, cls: type[Model], name: str, private_only: bool = False) -> None:
        """Track the instances of the model, and follow its rows."""
        super().contribute_to_class(cls, name, private_only)
        # In migrations, whose models are others, it is a text as any.
        if not cls._meta.abstract and cls._meta.apps is apps:
            add_column(cls, self)
            track(cls, saving_documents)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Check the options, and that the project serves documents of rows."""
        return [*super().check(**kwargs), *check_field(self)]

    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        """Return the field of a model form; its widget is an editor, also in the admin."""
        from collab.editor.forms import CollaborativeFormField, CollaborativeTextarea

        if not _is_a(kwargs.get("widget"), CollaborativeTextarea):
            kwargs["widget"] = CollaborativeTextarea
        form_class = partial(CollaborativeFormField, column=self)
        return super().formfield(*args, **{"form_class": form_class, **kwargs})

    def save_form_data(self, instance: Model, data: Any) -> None:
        """Assign the form's text of a new row; a live editor has saved its text itself."""
        from collab.editor.forms import UnchangedText

        if not isinstance(data, UnchangedText):
            super().save_form_data(instance, data)

    def pre_save(self, model_instance: Model, add: bool) -> Any:
        """Return the value to save: for a text that was not assigned, the one in the row."""
        return saved_value(self, model_instance, super().pre_save(model_instance, add), add)


def _is_a(widget: Any, base: type) -> bool:
    return isinstance(widget, base) or (isinstance(widget, type) and issubclass(widget, base))


def _connect(sender: type[Model], **kwargs: Any) -> None:
    """Delete the documents of a model's rows with them, also through a proxy."""
    if sender._meta.apps is apps and columns_of(sender):
        post_delete.connect(delete_document, sender, dispatch_uid="collab.editor")


class_prepared.connect(_connect)
