"""Admin classes for rows that people edit at the same time.

The texts of a change form are live. Of the other fields, those that were changed in the form are
saved, and the form says so when others have changed them meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Model, TextField
from django.forms.widgets import Script
from django.http import Http404, HttpRequest, JsonResponse
from django.urls import path
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from collab import documents
from collab.documents.changes.change import user_keys
from collab.documents.merging.admin import MergingAdmin, MergingInlineMixin
from collab.documents.merging.forms import MergingFormMixin
from collab.editor.document_types import document_name, owners_of
from collab.editor.forms import live_editor
from collab.editor.rendering import media as editor_media
from collab.editor.rows.columns import CollaborativeColumn, columns_of
from collab.history.users import display_name

if TYPE_CHECKING:
    _TabularInline = admin.TabularInline[Any, Any]
    _StackedInline = admin.StackedInline[Any, Any]
    _Options = admin.options.BaseModelAdmin[Any]
else:
    _TabularInline, _StackedInline, _Options = admin.TabularInline, admin.StackedInline, object

__all__ = [
    "CollaborativeAdmin",
    "CollaborativeAdminForm",
    "CollaborativeInlineMixin",
    "CollaborativeStackedInline",
    "CollaborativeTabularInline",
]


class CollaborativeAdminForm(MergingFormMixin):
    """Saves changed fields, and refuses once to replace later changes of others.

    Texts are merged.
    """

    def _post_clean(self) -> None:
        for name in self._conflicts():
            text = _(
                "This was changed to “%(value)s” while the form was open. Save again to replace it."
            )
            self.add_error(name, text % {"value": self._shown(name)})
            self._replace_base(name)
        super()._post_clean()

    def text_names(self) -> Collection[str]:
        """Return the texts that are not live: both changes are in the row afterwards."""
        return [
            field.name
            for field in self.instance._meta.concrete_fields
            if isinstance(field, TextField)
            and not field.choices
            and not isinstance(field, CollaborativeColumn)
        ]

    def others_changes(self) -> list[str]:
        """Return the names of fields that others have changed since the form was opened."""
        return [
            name
            for name, field in self.fields.items()
            if self.has_base(name) and field.has_changed(self[name].initial, self.sent_base(name))
        ]

    def _conflicts(self) -> list[str]:
        """Return the names of fields that others and the form have changed, differently."""
        if not self.is_change:
            return []
        lists = {field.name for field in self.instance._meta.many_to_many}
        changed = self.cleaned_data.keys() & {*self.changed_data} - lists
        return [
            name
            for name in self.others_changes()
            if name in changed
            and name not in self._present
            and self.fields[name].has_changed(self[name].initial, self[name].data)
        ]

    def _shown(self, name: str) -> str:
        display = getattr(self.instance, f"get_{name}_display", None)
        return str(display() if display else getattr(self.instance, name, self[name].initial))

    def _replace_base(self, name: str) -> None:
        """Continue the form from the value that is in the row now."""
        widget, key = self.fields[name].hidden_widget(), self.add_initial_prefix(name)
        value = self.fields[name].prepare_value(self[name].initial)
        data = cast("Any", self.data).copy()
        if isinstance(widget, forms.MultiWidget):
            for number, part in enumerate(widget.decompress(value) or ()):
                data[f"{key}_{number}"] = widget.widgets[number].format_value(part) or ""
        else:
            data[key] = widget.format_value(value) or ""
        self.data = data


@dataclass(frozen=True)
class ReadOnlyText:
    """A text of a row as the admin shows it to a user who may not change it there.

    Two of one text and one user are equal, as the name of the field would be in their place.
    """

    column: CollaborativeColumn
    user: Any

    @property
    def __name__(self) -> str:
        return self.column.name

    @property
    def short_description(self) -> Any:
        """The label."""
        return self.column.verbose_name

    def __call__(self, row: Model) -> Any:
        """Return the editor, which shows the text only; nothing of a row to be added."""
        return "" if row._state.adding else live_editor(row, self.column, self.user, readonly=True)


class ReadOnlyTextsMixin(_Options):
    """Shows texts live, too, where they cannot be changed."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add the editors that show texts to the names of read-only fields."""
        return [
            *super().get_readonly_fields(request, obj),
            *self._read_only_texts(request, obj).values(),
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Put them in the places of the fields."""
        texts = self._read_only_texts(request, obj)
        return [
            (title, {**options, "fields": _with(texts, options["fields"])})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def _read_only_texts(self, request: HttpRequest, obj: Any) -> dict[str, ReadOnlyText]:
        """Return the editors of texts that are declared read-only; of all texts for viewers."""
        is_viewer = obj is not None and not self.has_change_permission(request, obj)
        declared = super().get_readonly_fields(request, obj)
        return {
            column.name: ReadOnlyText(column, request.user)
            for owner in owners_of(self.model)
            for column in columns_of(owner)
            if is_viewer or column.name in declared
        }


def _with(texts: Mapping[str, ReadOnlyText], fields: Iterable[Any]) -> list[Any]:
    """Return the fields of a page, which may be in groups, with texts in the place of names."""
    return [
        _with(texts, field) if isinstance(field, (list, tuple)) else texts.get(field, field)
        for field in fields
        # Without a list of fields, Django adds the read-only ones at the end.
        if not isinstance(field, ReadOnlyText)
    ]


class CollaborativeAdmin(ReadOnlyTextsMixin, MergingAdmin):
    """An admin whose change forms several people use at the same time."""

    form_mixin: ClassVar[type[MergingFormMixin]] = CollaborativeAdminForm

    @property
    def media(self) -> forms.Media:
        """The scripts of the editor, and of the notices about other users of the form."""
        script: Any = Script("collab_admin/form.js", type="module")
        styles: Any = {"all": ["collab_admin/form.css"]}
        return super().media + editor_media() + forms.Media(css=styles, js=[script])

    def get_urls(self) -> list[Any]:
        """Add the address at which a form asks for other users of its row."""
        info = self.opts.app_label, self.opts.model_name
        view = self.admin_site.admin_view(self.collab_view)
        return [
            path("<path:object_id>/collab/", view, name="{}_{}_collab".format(*info)),
            *super().get_urls(),
        ]

    def collab_view(self, request: HttpRequest, object_id: str) -> JsonResponse:
        """Return changes of others since a form was opened, and the users who have the row open."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        return JsonResponse(
            {"present": _present(row, request.user), "changed": self._changed(request, row)}
        )

    def _changed(self, request: HttpRequest, row: Model) -> dict[str, str]:
        """Return a notice for each field that others have changed, by the field's name."""
        if request.method != "POST" or not self.has_change_permission(request, row):
            return {}
        form = self.get_form(request, row, change=True)(request.POST, instance=row)
        names = form.others_changes()
        text = _("%(user)s changed this to “%(value)s” while the form was open.")
        author = self._last_author(row, request.user) if names else ""
        return {
            form.add_prefix(name): text % {"user": author, "value": form._shown(name)}
            for name in names
        }

    def _last_author(self, row: Model, user: Any) -> str:
        """Return the name of the user who has changed the row last, as far as the admin knows."""
        entries = LogEntry.objects.filter(
            content_type=get_content_type_for_model(row), object_id=row.pk
        ).exclude(user_id=user.pk)
        entry = entries.select_related("user").order_by("-action_time").first()
        return _("Another user") if entry is None else display_name(entry.user)


class CollaborativeInlineMixin(ReadOnlyTextsMixin, MergingInlineMixin):
    """The same for rows inside the page of another, in any class of inlines."""

    form_mixin: ClassVar[type[MergingFormMixin]] = CollaborativeAdminForm


class CollaborativeTabularInline(CollaborativeInlineMixin, _TabularInline):
    """A tabular inline with live texts."""


class CollaborativeStackedInline(CollaborativeInlineMixin, _StackedInline):
    """A stacked inline with live texts."""


def _present(row: Model, user: Any) -> str:
    """Return a sentence that names the others who have a document of the row open."""
    keys = {
        present.user_id
        for owner in owners_of(type(row))
        for present in documents.present(document_name(row, owner))
    }
    others = user_keys(key for key in keys if key not in (None, str(user.pk)))
    users = get_user_model()._default_manager.filter(pk__in=[*others]).order_by("pk")
    if not (names := [display_name(each) for each in users]):
        return ""
    text = ngettext("%(names)s is here, too.", "%(names)s are here, too.", len(names))
    return text % {"names": get_text_list(names, _("and"))}
