"""Forms that were opened before others changed the row keep those changes (I17)."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from django import forms
from django.http import QueryDict

from collab.mirror.writers.forms import MirroredFormMixin, MirroredModelForm, mirrored_form
from tests.mirror.writers.pages import form_data
from tests.rows.models import Board, Label, Recipe, Task

pytestmark = pytest.mark.django_db(transaction=True)


class TaskForm(MirroredModelForm):
    class Meta:
        model = Task
        fields: ClassVar = ["title", "at", "done", "body", "owner", "labels", "estimate"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("title") == "derive":
            cleaned["body"] = "derived"
        return cleaned


class SplitForm(MirroredModelForm):
    at = forms.SplitDateTimeField(required=False)

    class Meta:
        model = Task
        fields: ClassVar = ["title", "at"]


@pytest.fixture
def task() -> Task:
    return Task.objects.create(board=Board.objects.create(), title="one", body="text")


def sent(form: forms.BaseForm, **changes: Any) -> QueryDict:
    """Return what a browser sends of an opened form."""
    data = QueryDict(mutable=True)
    for name, values in form_data(str(form), **changes).items():
        data.setlist(name, values)
    return data


def saved(task: Task, data: QueryDict, kind: type[Any] = TaskForm) -> Task:
    form = kind(data, instance=Task.objects.get(pk=task.pk))
    assert form.is_valid(), form.errors
    assert form.save() == task
    return Task.objects.get(pk=task.pk)


def test_values_that_clean_derives_are_saved(task: Task) -> None:
    data = sent(TaskForm(instance=task), title="derive")
    Task.objects.update(done=True)
    found = saved(task, data)
    assert (found.title, found.body, found.done) == ("derive", "derived", True)


def test_cleaned_data_has_the_present_values_of_other_fields(task: Task) -> None:
    data = sent(TaskForm(instance=task), title="two")
    Task.objects.update(body="theirs", estimate=3)
    form = TaskForm(data, instance=Task.objects.get())
    assert form.is_valid()
    assert (form.cleaned_data["body"], form.cleaned_data["estimate"]) == ("theirs", 3)


def test_a_text_that_gets_too_long_with_the_changes_of_others_is_refused(task: Task) -> None:
    recipe = Recipe.objects.create(title="x")
    form: Any = mirrored_form(forms.modelform_factory(Recipe, fields=["title"]))
    data = sent(form(instance=recipe), title="y" * 101)
    assert not form(data, instance=recipe).is_valid()


def test_times_in_two_inputs_are_compared(task: Task) -> None:
    data = sent(SplitForm(instance=task), title="two")
    Task.objects.update(at="2026-01-02T03:04:05Z")
    found = saved(task, data, SplitForm)
    assert found.title == "two"
    assert found.at is not None
    cleared = sent(SplitForm(instance=found), at_0="", at_1="")
    assert saved(task, cleared, SplitForm).at is None


def test_labels_that_were_deleted_meanwhile_are_gone(task: Task) -> None:
    one, two = Label.objects.create(name="one"), Label.objects.create(name="two")
    task.labels.set([one])
    data = sent(TaskForm(instance=task), labels=[str(two.pk)])
    one.delete()
    assert list(saved(task, data).labels.all()) == [two]


def test_a_form_that_is_not_committed_is_saved_later(task: Task) -> None:
    data = sent(TaskForm(instance=task), title="two")
    Task.objects.update(done=True)
    form = TaskForm(data, instance=Task.objects.get())
    instance = form.save(commit=False)
    form.save_instance(instance)
    form.save_m2m()
    found = Task.objects.get()
    assert (found.title, found.done) == ("two", True)


def test_texts_that_change_between_the_check_and_the_save_are_merged(task: Task) -> None:
    data = sent(TaskForm(instance=task), body="text, mine")
    form = TaskForm(data, instance=Task.objects.get())
    assert form.is_valid()
    Task.objects.update(body="theirs, text")
    form.save()
    assert Task.objects.get().body == "theirs, text, mine"


def test_new_rows_are_saved_as_by_any_form() -> None:
    form = mirrored_form(forms.modelform_factory(Recipe, fields=["title", "text"]))
    new = form({"title": "new", "text": "a\r\nb"})
    assert new.is_valid()
    assert new.save().text == "a\r\nb"


def test_a_form_that_has_the_mixin_stays_as_it_is() -> None:
    assert mirrored_form(TaskForm) is TaskForm
    assert issubclass(mirrored_form(forms.modelform_factory(Task, fields=[])), MirroredFormMixin)


def test_a_text_keeps_the_line_ends_that_it_has(task: Task) -> None:
    Task.objects.update(body="one\r\ntwo\r\n")
    task.refresh_from_db()
    data = sent(TaskForm(instance=task), body="one\r\ntwo, mine\r\n")
    Task.objects.update(body="one, theirs\r\ntwo\r\n")
    assert saved(task, data).body == "one, theirs\r\ntwo, mine\r\n"
