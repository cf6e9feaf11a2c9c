"""Admin classes whose forms save the fields that were changed in them since they were opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from collab.documents.merging.forms import MergingFormMixin, form_with

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _Inline = admin.options.InlineModelAdmin[Any, Any]
else:
    _ModelAdmin, _Inline = admin.ModelAdmin, object

__all__ = ["MergingAdmin", "MergingInlineMixin"]


class MergingAdmin(_ModelAdmin):
    """Keeps changes that others make while a page of the admin is open.

    Its forms, those of ``list_editable`` included, have ``form_mixin``.
    """

    form_mixin: ClassVar[type[MergingFormMixin]] = MergingFormMixin

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the form of a row's page."""
        form = super().get_form(request, *args, **kwargs)
        return form_with(self.form_mixin, form, request.user)

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the form of a row in the list."""
        form = super().get_changelist_form(request, **kwargs)
        return form_with(self.form_mixin, form, request.user)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the changed fields of a row."""
        if change and isinstance(form, MergingFormMixin):
            form.save_instance(obj)
        else:
            super().save_model(request, obj, form, change)


class MergingInlineMixin(_Inline):
    """The same for rows inside the page of another."""

    form_mixin: ClassVar[type[MergingFormMixin]] = MergingFormMixin

    def get_formset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the formset of the rows."""
        formset = super().get_formset(request, *args, **kwargs)
        formset.form = form_with(self.form_mixin, formset.form, request.user)
        return formset
