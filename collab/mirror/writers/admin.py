"""Admin classes whose forms save the fields that were changed in them since they were opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin

from collab.documents.merging.admin import MergingAdmin, MergingInlineMixin
from collab.documents.merging.forms import MergingFormMixin
from collab.mirror.writers.forms import MirroredFormMixin

if TYPE_CHECKING:
    _TabularInline = admin.TabularInline[Any, Any]
    _StackedInline = admin.StackedInline[Any, Any]
else:
    _TabularInline, _StackedInline = admin.TabularInline, admin.StackedInline

__all__ = [
    "MirroredInlineMixin",
    "MirroredModelAdmin",
    "MirroredStackedInline",
    "MirroredTabularInline",
]


class MirroredModelAdmin(MergingAdmin):
    """Keeps changes that others make while a page of the admin is open.

    Its forms, those of ``list_editable`` included, have
    :class:`~collab.mirror.writers.forms.MirroredFormMixin`.
    """

    form_mixin: ClassVar[type[MergingFormMixin]] = MirroredFormMixin


class MirroredInlineMixin(MergingInlineMixin):
    """The same for rows inside the page of another."""

    form_mixin: ClassVar[type[MergingFormMixin]] = MirroredFormMixin


class MirroredTabularInline(MirroredInlineMixin, _TabularInline):
    """A tabular inline with :class:`MirroredInlineMixin`."""


class MirroredStackedInline(MirroredInlineMixin, _StackedInline):
    """A stacked inline with :class:`MirroredInlineMixin`."""
