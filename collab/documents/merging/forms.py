"""Model forms that save the fields that were changed in them since they were opened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.db import connections, router, transaction
from django.db.models import Model

from collab.documents.merging.texts import merged_texts

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm

__all__ = ["MergingFormMixin", "form_with", "save_columns", "save_merged"]


class MergingFormMixin(_ModelForm):
    """Keeps changes that others make while a form is open.

    The form has each value twice: as it was opened with, hidden, and as it is edited. Fields that
    are equal are not changed in the row; of many-to-many fields the added and removed rows are
    applied. Of the fields of ``text_names()``, the changes in the form and of others are merged.

    ``{{ field }}`` in a template renders both. Without the hidden one, as after
    ``{{ field.as_widget }}``, a field is saved as it is in the form.
    """

    #: The user of the form, if it is known.
    collab_user: ClassVar[Any] = None
    #: Returns the names of texts whose changes are merged with those of others.
    text_names: Callable[[], Collection[str]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Fields that ``clean()`` has given other values.
        self._derived: set[str] = set()
        #: Values of merged texts in the row when the form is cleaned.
        self._present: dict[str, Any] = {}
        shown = [
            name
            for name, field in self.fields.items()
            if not (field.widget.is_hidden or isinstance(field, forms.FileField))
            # A field that is live in the form has no value from its opening.
            if not getattr(field, "is_live", False)
        ]
        sent = {name for name in shown if self.is_bound and self._is_sent(name)}
        self._keep_parts(sent)
        for name in shown:
            # A list has a hidden input for each value, so none if it is empty.
            is_list = isinstance(self.fields[name].hidden_widget(), forms.MultipleHiddenInput)
            has_base = name in sent or (is_list and bool(sent))
            self.fields[name].show_hidden_initial = not self.is_bound or has_base

    def _keep_parts(self, sent: Collection[str]) -> None:
        """Render sent hidden values of several inputs, such as a date and a time, once more.

        Django looks for an input of the field's own name, and else renders the typed value.
        """
        widgets = {name: self.fields[name].hidden_widget() for name in sent}
        names = [name for name in sent if isinstance(widgets[name], forms.MultiWidget)]
        if names:
            keys = {self.add_initial_prefix(name): "" for name in names}
            data = cast("Any", self.data).copy()
            data.update(keys)
            self.data = data

    def _is_sent(self, name: str) -> bool:
        key, widget = self.add_initial_prefix(name), self.fields[name].hidden_widget()
        return not widget.value_omitted_from_data(self.data, self.files, key)

    @property
    def is_change(self) -> bool:
        """Whether the form is of a row that is stored."""
        return not self.instance._state.adding

    def has_base(self, name: str) -> bool:
        """Return whether the value that the form was opened with is known."""
        return self.is_change and self.fields[name].show_hidden_initial

    def base_of(self, name: str) -> Any:
        """Return the value that the form was opened with."""
        return self.fields[name].to_python(self.sent_base(name))

    def sent_base(self, name: str) -> Any:
        """Return that value as the browser has sent it."""
        key, widget = self.add_initial_prefix(name), self.fields[name].hidden_widget()
        return widget.value_from_datadict(self.data, self.files, key)

    # Cleaning.

    def full_clean(self) -> None:
        """Remember the row's texts before those of the form are assigned."""
        if self.is_change:
            names = self.fields.keys() & set(self.text_names())
            self._present = {name: getattr(self.instance, name) for name in names}
        super().full_clean()

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
        if not self.is_change:
            super()._post_clean()  # type: ignore[misc]
            return
        self.cleaned_data |= self.merged_values()
        everything, changed = self.cleaned_data, self.changed_fields
        # The instance keeps its own values of the other fields, and is validated with them.
        self.cleaned_data = {name: everything[name] for name in everything.keys() & changed}
        super()._post_clean()  # type: ignore[misc]
        unchanged = {name: everything[name] for name in everything.keys() - changed}
        for field in self.instance._meta.concrete_fields:
            if field.name in unchanged and self.has_base(field.name):
                unchanged[field.name] = getattr(self.instance, field.name)
        self.cleaned_data |= unchanged

    def merged_values(self) -> dict[str, Any]:
        """Return changed values into which changes of others have been merged."""
        values = {
            name: self.cleaned_data[name]
            for name in self._present.keys() & self.changed_fields
            if isinstance(self.cleaned_data.get(name), str) and self.has_base(name)
        }
        bases = {name: self.base_of(name) for name in values}
        return dict(merged_texts(bases, values, self._present))

    # Saving.

    def save(self, commit: bool = True) -> Any:
        """Save the changed fields of the row; a new row is saved as by any form."""
        if self.errors or not commit or not self.is_change:
            return super().save(commit)
        with transaction.atomic(router.db_for_write(type(self.instance), instance=self.instance)):
            self.save_instance(self.instance)
            self._save_m2m()
        return self.instance

    def save_instance(self, instance: Model) -> None:
        """Save the changed fields of the form's instance, after ``save(commit=False)``."""
        # Others may have saved a text since the form was cleaned.
        bases = {name: text or "" for name, text in self._present.items()}
        save_merged(instance, self.changed_fields, bases)

    def _save_m2m(self) -> None:
        everything = self.cleaned_data
        relations = {
            field.name: field
            for field in self.instance._meta.many_to_many
            if field.name in everything and self.has_base(field.name)
        }
        for name in relations.keys() & self.changed_fields:
            key = cast("Any", relations[name].related_model)._meta.pk.to_python
            # Some of them may have been deleted meanwhile.
            before = {key(value) for value in self.sent_base(name) or ()}
            now = {row.pk for row in everything[name]}
            manager = getattr(self.instance, name)
            manager.remove(*(before - now))
            manager.add(*(now - before))
        self.cleaned_data = {name: everything[name] for name in everything.keys() - relations}
        super()._save_m2m()  # type: ignore[misc]
        self.cleaned_data = everything


def form_with(mixin: type[Any], form: type[forms.ModelForm[Any]], user: Any) -> type[Any]:
    """Return a form class with a mixin, which it may have already, for a user."""
    bases = (form,) if issubclass(form, mixin) else (mixin, form)
    return type(form.__name__, bases, {"__module__": form.__module__, "collab_user": user})


def save_merged(instance: Model, names: Collection[str], bases: Mapping[str, str]) -> None:
    """Save fields of a stored row, and no others; both changes of a text are saved.

    Args:
        instance: the row, with their new values.
        names: of the changed fields.
        bases: texts that the changes started from, by field. If others have changed such a text
            since, the instance has both changes afterwards, too.

    Raises:
        DatabaseError: the row has been deleted.
    """
    using = router.db_for_write(type(instance), instance=instance)
    texts = {name: bases[name] for name in sorted(bases.keys() & set(names))}
    with transaction.atomic(using) if texts else nullcontext():
        if texts:
            _merge_stored(instance, using, texts)
        save_columns(instance, names)


def _merge_stored(instance: Model, using: str, bases: Mapping[str, str]) -> None:
    rows = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    if connections[using].features.has_select_for_update:
        rows = rows.select_for_update()
    there = rows.values(*bases).first()
    if there is not None:
        values = {name: getattr(instance, name) or "" for name in bases}
        for name, text in merged_texts(bases, values, there).items():
            if text != values[name]:
                setattr(instance, name, text)


def save_columns(instance: Model, names: Collection[str]) -> None:
    """Save fields of a stored row, and no others but those that are set whenever it is saved.

    Raises:
        DatabaseError: the row has been deleted.
    """
    columns = [field for field in instance._meta.concrete_fields if not field.primary_key]
    changed = {field.name for field in columns if {field.name, field.attname} & set(names)}
    if changed:
        touched = {field.name for field in columns if getattr(field, "auto_now", False)}
        using = router.db_for_write(type(instance), instance=instance)
        instance.save(using=using, update_fields=changed | touched)
