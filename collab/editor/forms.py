"""Form fields of collaborative texts, which are live in the forms of stored rows."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Model
from django.utils.safestring import SafeString, mark_safe

from collab.access import Access
from collab.documents import policy
from collab.editor.document_types import document_name
from collab.editor.rendering import draft_html, editor_html, media
from collab.editor.rows.columns import CollaborativeColumn
from collab_storage.updates import EMPTY_UPDATE

__all__ = [
    "CollaborativeFormField",
    "CollaborativeTextarea",
    "UnchangedText",
    "live_editor",
]


class UnchangedText(str):
    """The value of a text that the form does not save, since its editor is live."""

    __slots__ = ()


class CollaborativeTextarea(forms.Textarea):
    """A text area for a row that is not stored yet, with the scripts of the editor.

    The editor hides it, so that the browser must not ask for it.
    """

    def use_required_attribute(self, initial: Any) -> bool:
        """Return whether the browser asks for a value."""
        return False

    @property
    def media(self) -> forms.Media:
        """The scripts of the editor."""
        return media()


class CollaborativeBoundField(forms.BoundField):
    """A field of a form: an editor of the row's document, or of a text that is sent."""

    field: CollaborativeFormField

    @property
    def row(self) -> Model | None:
        """The stored row of the form, if there is one."""
        row: Model | None = getattr(self.form, "instance", None)
        return None if row is None or row._state.adding or row.pk is None else row

    @property
    def data(self) -> Any:
        """The value that was sent; of a stored row, the one it has."""
        return super().data if self.row is None else UnchangedText(self.initial or "")

    def as_widget(
        self, widget: Any = None, attrs: Any = None, only_initial: bool = False
    ) -> SafeString:
        """Return the editor, or the text area."""
        if only_initial:
            return super().as_widget(widget, attrs, only_initial)
        if self.row is None:
            is_edited = widget is None and not self.field.disabled
            return self._draft(attrs) if is_edited else super().as_widget(widget, attrs)
        options: dict[str, Any] = {
            "id": self.auto_id,
            "label": str(self.label),
            # Saves nothing; the admin's "Save as new" makes another row of it.
            "form_field": self.html_name,
        }
        if self.field.disabled:
            options["readonly"] = True
        return live_editor(
            self.row, self.field.column, getattr(self.form, "collab_user", None), **options
        )

    def _draft(self, attrs: Any) -> SafeString:
        """Return an editor whose text is sent with the form; after an error it has that text."""
        label, column = str(self.label), self.field.column
        # The label leads to the element, which has the id, as that of a stored row has.
        own: dict[str, str | bool] = {"id": False, "aria-label": label}
        control = super().as_widget(None, {**(attrs or {}), **own})
        value = self.field.to_python(self.value())
        state = column.format.make(column.name, value) if value else EMPTY_UPDATE
        options = column.editor_options() | {"history": False}
        return draft_html(
            control, state, field=column.name, id=self.auto_id, label=label, **options
        )


class CollaborativeFormField(forms.CharField):
    """The field of a collaborative text in a model form.

    In the form of a stored row it is an editor of the row's document, and saves nothing: the
    document has been stored meanwhile. The text of a new row is edited in the form, and sent with
    it.

    Args:
        column: the model field.
    """

    widget = CollaborativeTextarea
    #: Writers of whole rows need not remember its value.
    is_live = True

    def __init__(self, *, column: CollaborativeColumn, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.column = column

    def get_bound_field(self, form: Any, field_name: str) -> CollaborativeBoundField:
        """Return the field of a form."""
        return CollaborativeBoundField(form, self, field_name)

    def to_python(self, value: Any) -> Any:
        """Return a text with the ends of lines that documents have."""
        if isinstance(value, UnchangedText):
            return value
        text = super().to_python(value)
        return text.replace("\r\n", "\n") if isinstance(text, str) else text

    def validate(self, value: Any) -> None:
        """Check the text of a new row; that of a live editor may be empty for a moment."""
        if not isinstance(value, UnchangedText):
            super().validate(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the form saves the text."""
        return not isinstance(data, UnchangedText) and super().has_changed(initial, data)


def live_editor(
    row: Model, column: CollaborativeColumn, user: Any = None, **options: Any
) -> SafeString:
    """Return the editor of a text of a stored row.

    Args:
        row: it.
        column: the text.
        user: whose access the document's type is asked for; without a user the connection says
            what it may do, and the text is shown to browsers without JavaScript.
        options: of :func:`~collab.editor.rendering.editor_html`.
    """
    name = document_name(row, column.model)
    access = Access.READ if user is None else policy.access_of(name, user) or Access.NONE
    if user is not None and access < Access.WRITE:
        options["readonly"] = True
    is_readable = access >= Access.READ
    text = getattr(row, column.attname) or "" if is_readable else ""
    if user is not None and not is_readable:
        options["history"] = False
    is_html = column.format.written == "html"
    return editor_html(
        name,
        field=column.name,
        user=user,
        # A column may hold a text from before the field was collaborative.
        rendered=mark_safe(column.format.clean(text)) if is_html else text,
        **{**column.editor_options(), **options},
    )
