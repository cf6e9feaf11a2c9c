"""Model forms that save the fields that were changed in them since they were opened."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.db import router, transaction
from django.db.models import Model

from collab.mirror.writers.changed_fields import merged_texts, save_changed, text_columns

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm

__all__ = ["MirroredFormMixin", "MirroredModelForm", "mirrored_form"]


class MirroredFormMixin(_ModelForm):
    """Leaves to others what they have changed while a form was open.

    The form has each value twice: as it was opened with, hidden, and as it is edited. Fields that
    are equal are not changed in the row. Where a mirror has a field as Text, the change in the form
    and those of others are merged; of many-to-many fields the added and removed rows are applied.

    ``{{ field }}`` in a template renders both. Without the hidden one, as after
    ``{{ field.as_widget }}``, a field is saved as it is in the form.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Values of texts in the row when the form is cleaned.
        self._present: dict[str, Any] = {}
        #: Fields that ``clean()`` has given other values.
        self._derived: set[str] = set()
        shown = [
            name
            for name, field in self.fields.items()
            if not (field.widget.is_hidden or isinstance(field, forms.FileField))
        ]
        sent = {name for name in shown if self.is_bound and self._is_sent(name)}
        for name in shown:
            # The hidden inputs of a list are as many as its values: none, perhaps.
            is_list = isinstance(self.fields[name].hidden_widget(), forms.MultipleHiddenInput)
            has_base = name in sent or (is_list and bool(sent))
            self.fields[name].show_hidden_initial = not self.is_bound or has_base

    def _is_sent(self, name: str) -> bool:
        key, widget = self.add_initial_prefix(name), self.fields[name].hidden_widget()
        return not widget.value_omitted_from_data(self.data, self.files, key)

    def full_clean(self) -> None:
        """Remember the row's texts before those of the form are assigned."""
        if self._is_change:
            names = text_columns(type(self.instance)) & self.fields.keys()
            self._present = {name: getattr(self.instance, name) for name in names}
        super().full_clean()

    @property
    def _is_change(self) -> bool:
        return not self.instance._state.adding

    def _has_base(self, name: str) -> bool:
        """Return whether the value that the form was opened with is known."""
        return self._is_change and self.fields[name].show_hidden_initial

    def _base(self, name: str) -> Any:
        """Return the value that the form was opened with."""
        return self.fields[name].to_python(self._hidden(name))

    def _hidden(self, name: str) -> Any:
        key, widget = self.add_initial_prefix(name), self.fields[name].hidden_widget()
        return widget.value_from_datadict(self.data, self.files, key)

    # Cleaning.

    def _clean_form(self) -> None:
        before = dict(self.cleaned_data)
        super()._clean_form()  # type: ignore[misc]
        self._derived = {
            name
            for name, value in self.cleaned_data.items()
            if name not in before or before[name] is not value
        }

    @cached_property
    def changed_fields(self) -> set[str]:
        """The fields that were changed in the form, or by its ``clean()``."""
        return {*self.changed_data, *self._derived}

    def _post_clean(self) -> None:
        if not self._is_change:
            super()._post_clean()  # type: ignore[misc]
            return
        self.cleaned_data |= self._merged_texts()
        everything, changed = self.cleaned_data, self.changed_fields
        # The instance keeps its own values of the other fields, and is validated with them.
        self.cleaned_data = {name: everything[name] for name in everything.keys() & changed}
        super()._post_clean()  # type: ignore[misc]
        unchanged = {name: everything[name] for name in everything.keys() - changed}
        for field in self.instance._meta.concrete_fields:
            if field.name in unchanged and self._has_base(field.name):
                unchanged[field.name] = getattr(self.instance, field.name)
        self.cleaned_data |= unchanged

    def _merged_texts(self) -> dict[str, str]:
        values = {
            name: self.cleaned_data[name]
            for name in self._present.keys() & self.changed_fields
            if isinstance(self.cleaned_data.get(name), str) and self._has_base(name)
        }
        bases = {name: self._base(name) for name in values}
        return merged_texts(bases, values, self._present)

    # Saving.

    def save(self, commit: bool = True) -> Any:
        """Save the changed fields of the row; a new row is saved as by any form."""
        if self.errors or not commit or not self._is_change:
            return super().save(commit)
        with transaction.atomic(router.db_for_write(type(self.instance), instance=self.instance)):
            self.save_instance(self.instance)
            self._save_m2m()
        return self.instance

    def save_instance(self, instance: Model) -> None:
        """Save the changed fields of the form's instance, after ``save(commit=False)``."""
        # The form's text has been merged with the row's already.
        bases = {name: text or "" for name, text in self._present.items()}
        save_changed(instance, self.changed_fields, bases)

    def _save_m2m(self) -> None:
        everything = self.cleaned_data
        relations = {
            field.name: field
            for field in self.instance._meta.many_to_many
            if field.name in everything and self._has_base(field.name)
        }
        for name in relations.keys() & self.changed_fields:
            key = cast("Any", relations[name].related_model)._meta.pk.to_python
            # Some of them may have been deleted meanwhile.
            before = {key(value) for value in self._hidden(name) or ()}
            now = {row.pk for row in everything[name]}
            manager = getattr(self.instance, name)
            manager.remove(*(before - now))
            manager.add(*(now - before))
        self.cleaned_data = {name: everything[name] for name in everything.keys() - relations}
        super()._save_m2m()  # type: ignore[misc]
        self.cleaned_data = everything


class MirroredModelForm(MirroredFormMixin, _ModelForm):
    """A model form with :class:`MirroredFormMixin`."""


def mirrored_form(form: type[forms.ModelForm[Any]]) -> type[MirroredFormMixin]:
    """Return a form class with :class:`MirroredFormMixin`."""
    if issubclass(form, MirroredFormMixin):
        return form
    return type(form.__name__, (MirroredFormMixin, form), {"__module__": form.__module__})
