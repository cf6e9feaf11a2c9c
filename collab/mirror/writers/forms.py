"""Model forms of mirrored rows, which also merge texts that a mirror has as Text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import Model

from collab.documents.merging.forms import MergingFormMixin, form_with
from collab.mirror.writers.changed_fields import merged_texts, save_changed, text_columns

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm

__all__ = ["MirroredFormMixin", "MirroredModelForm", "mirrored_form"]


class MirroredFormMixin(MergingFormMixin):
    """Leaves to others what they have changed while a form was open.

    See :class:`~collab.documents.merging.forms.MergingFormMixin`. Where a mirror has a field as
    Text, the change in the form and those of others are merged.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Values of texts in the row when the form is cleaned.
        self._present: dict[str, Any] = {}

    def full_clean(self) -> None:
        """Remember the row's texts before those of the form are assigned."""
        if self.is_change:
            names = text_columns(type(self.instance)) & self.fields.keys()
            self._present = {name: getattr(self.instance, name) for name in names}
        super().full_clean()

    def merged_values(self) -> dict[str, Any]:
        """Return changed texts into which changes of others have been merged."""
        values = {
            name: self.cleaned_data[name]
            for name in self._present.keys() & self.changed_fields
            if isinstance(self.cleaned_data.get(name), str) and self.has_base(name)
        }
        bases = {name: self.base_of(name) for name in values}
        return dict(merged_texts(bases, values, self._present))

    def save_instance(self, instance: Model) -> None:
        """Save the changed fields of the form's instance, after ``save(commit=False)``."""
        # The form's text has been merged with the row's already.
        bases = {name: text or "" for name, text in self._present.items()}
        save_changed(instance, self.changed_fields, bases)


class MirroredModelForm(MirroredFormMixin, _ModelForm):
    """A model form with :class:`MirroredFormMixin`."""


def mirrored_form(form: type[forms.ModelForm[Any]]) -> type[MirroredFormMixin]:
    """Return a form class with :class:`MirroredFormMixin`."""
    return form_with(MirroredFormMixin, form)
