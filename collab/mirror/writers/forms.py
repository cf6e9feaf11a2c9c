"""Model forms of mirrored rows, which also merge texts that a mirror has as Text."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django import forms

from collab.documents.merging.forms import MergingFormMixin, form_with
from collab.mirror.writers.changed_fields import text_columns

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm

__all__ = ["MirroredFormMixin", "MirroredModelForm", "mirrored_form"]


class MirroredFormMixin(MergingFormMixin):
    """Keeps changes that others make while a form is open.

    See :class:`~collab.documents.merging.forms.MergingFormMixin`. Where a mirror has a field as
    Text, the change in the form and those of others are merged.
    """

    def text_names(self) -> Collection[str]:
        """Return the fields that mirrors have as Text."""
        return text_columns(type(self.instance))


class MirroredModelForm(MirroredFormMixin, _ModelForm):
    """A model form with :class:`MirroredFormMixin`."""


def mirrored_form(form: type[forms.ModelForm[Any]]) -> type[MirroredFormMixin]:
    """Return a form class with :class:`MirroredFormMixin`."""
    return form if issubclass(form, MirroredFormMixin) else form_with(MirroredFormMixin, form, None)
