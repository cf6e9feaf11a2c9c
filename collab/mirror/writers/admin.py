"""Admin classes whose forms save the fields that were changed in them since they were opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from collab.mirror.writers.forms import MirroredFormMixin, mirrored_form

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _Inline = admin.options.InlineModelAdmin[Any, Any]
    _TabularInline = admin.TabularInline[Any, Any]
    _StackedInline = admin.StackedInline[Any, Any]
else:
    _ModelAdmin, _Inline = admin.ModelAdmin, object
    _TabularInline, _StackedInline = admin.TabularInline, admin.StackedInline

__all__ = [
    "MirroredInlineMixin",
    "MirroredModelAdmin",
    "MirroredStackedInline",
    "MirroredTabularInline",
]


class MirroredModelAdmin(_ModelAdmin):
    """Leaves to others what they have changed while a page of the admin was open.

    Its forms, those of ``list_editable`` included, have
    :class:`~collab.mirror.writers.forms.MirroredFormMixin`.
    """

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the form of a row's page."""
        return mirrored_form(super().get_form(request, *args, **kwargs))

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the form of a row in the list."""
        return mirrored_form(super().get_changelist_form(request, **kwargs))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the changed fields of a row."""
        if change and isinstance(form, MirroredFormMixin):
            form.save_instance(obj)
        else:
            super().save_model(request, obj, form, change)


class MirroredInlineMixin(_Inline):
    """The same for rows inside the page of another."""

    def get_formset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the formset of the rows."""
        formset = super().get_formset(request, *args, **kwargs)
        formset.form = mirrored_form(formset.form)
        return formset


class MirroredTabularInline(MirroredInlineMixin, _TabularInline):
    """A tabular inline with :class:`MirroredInlineMixin`."""


class MirroredStackedInline(MirroredInlineMixin, _StackedInline):
    """A stacked inline with :class:`MirroredInlineMixin`."""
