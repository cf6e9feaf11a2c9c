"""A page of the admin that is saved keeps what others have changed while it was open (I17)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse

from tests.mirror.boards import name_of, open_board, tasks
from tests.mirror.databases import kept_in, on_both
from tests.mirror.writers.pages import form_data
from tests.rows.models import Board, Label, Recipe, Task

pytestmark = on_both


@pytest.fixture(autouse=True)
def _database(using: str) -> Iterator[None]:
    with kept_in(using):
        yield


@pytest.fixture
def admin(django_user_model: type, _database: None) -> Client:
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("root"))  # type: ignore[attr-defined]
    return client


@pytest.fixture
def task(_database: None) -> Task:
    return Task.objects.create(board=open_board(), title="one", body="first\nsecond\n")


def opened(admin: Client, url: str) -> str:
    page = admin.get(url)
    assert page.status_code == 200
    return page.content.decode()


def save(admin: Client, url: str, data: dict[str, list[str]]) -> None:
    answer = admin.post(url, data)
    assert answer.status_code == 302, answer.content.decode()


def page_of(row: object) -> str:
    name = type(row).__name__.lower()
    return reverse(f"admin:rows_{name}_change", args=[row.pk])  # type: ignore[attr-defined]


def test_fields_that_were_not_changed_in_the_form_are_left_alone(admin: Client, task: Task) -> None:
    page = opened(admin, page_of(task))
    label = Label.objects.create(name="l")
    Task.objects.filter(pk=task.pk).update(done=True, body="theirs", position=7)
    task.labels.add(label)
    save(admin, page_of(task), form_data(page, title="two"))
    task.refresh_from_db()
    assert (task.title, task.done, task.body, task.position) == ("two", True, "theirs", 7)
    assert list(task.labels.all()) == [label]
    assert tasks(task.board)[str(task.pk)]["body"] == "theirs"
    assert tasks(task.board)[str(task.pk)]["title"] == "two"


def test_texts_that_both_have_changed_have_both_changes(admin: Client, task: Task) -> None:
    page = opened(admin, page_of(task))
    Task.objects.filter(pk=task.pk).update(body="first, theirs\nsecond\n")
    save(admin, page_of(task), form_data(page, body="first\nsecond, mine\n"))
    task.refresh_from_db()
    assert task.body == "first, theirs\nsecond, mine\n"
    assert tasks(task.board)[str(task.pk)]["body"] == task.body


def test_rows_that_others_have_related_stay_related(admin: Client, task: Task) -> None:
    kept, taken, theirs, mine = (Label.objects.create(name=name) for name in "abcd")
    task.labels.set([kept, taken])
    page = opened(admin, page_of(task))
    task.labels.add(theirs)
    save(admin, page_of(task), form_data(page, labels=[str(kept.pk), str(mine.pk)]))
    assert set(task.labels.all()) == {kept, theirs, mine}


def test_a_form_without_changes_saves_nothing(admin: Client, task: Task) -> None:
    page = opened(admin, page_of(task))
    task.delete()
    again = Task.objects.create(pk=task.pk, board=task.board, title="theirs")
    save(admin, page_of(again), form_data(page))
    again.refresh_from_db()
    assert (again.title, again.body) == ("theirs", "")


def test_a_form_without_hidden_values_is_saved_as_it_is(admin: Client, task: Task) -> None:
    data = form_data(opened(admin, page_of(task)), title="two")
    Task.objects.filter(pk=task.pk).update(body="theirs")
    save(admin, page_of(task), {name: data[name] for name in data if "initial-" not in name})
    task.refresh_from_db()
    assert (task.title, task.body) == ("two", "first\nsecond")


def test_new_rows_are_saved(admin: Client) -> None:
    board, label = open_board(), Label.objects.create(name="l")
    url = reverse("admin:rows_task_add")
    page = opened(admin, url)
    save(admin, url, form_data(page, board=str(board.pk), title="new", labels=[str(label.pk)]))
    task = Task.objects.get()
    assert (task.title, list(task.labels.all())) == ("new", [label])


def test_a_change_that_is_not_valid_is_not_saved(admin: Client, task: Task) -> None:
    page = opened(admin, page_of(task))
    answer = admin.post(page_of(task), form_data(page, title=""))
    assert answer.status_code == 200
    assert Task.objects.get().title == "one"


def test_cells_of_a_list_are_saved_one_by_one(admin: Client, task: Task) -> None:
    other = Task.objects.create(board=task.board, title="other")
    url = reverse("admin:rows_task_changelist")
    page = opened(admin, url)
    Task.objects.update(title="theirs")
    first = next(name for name, value in form_data(page).items() if value == [str(other.pk)])
    cell = first.replace("-id", "-done")
    save(admin, url, form_data(page, **{cell: "on", "_save": "Save"}))
    other.refresh_from_db()
    task.refresh_from_db()
    assert (other.title, other.done) == ("theirs", True)
    assert (task.title, task.done) == ("theirs", False)


def test_inline_rows_are_saved_field_by_field(admin: Client, task: Task) -> None:
    page = opened(admin, page_of(task.board))
    Task.objects.filter(pk=task.pk).update(done=True, body="first, theirs\nsecond\n")
    data = form_data(
        page,
        **{
            "name": "renamed",
            "tasks-0-title": "two",
            "tasks-0-body": "first\nsecond, mine\n",
            "tasks-1-title": "new",
            "tasks-TOTAL_FORMS": "2",
            "tasks-1-board": str(task.board_id),
        },
    )
    save(admin, page_of(task.board), data)
    task.refresh_from_db()
    assert (task.title, task.done) == ("two", True)
    assert task.body == "first, theirs\nsecond, mine\n"
    assert Task.objects.filter(title="new").exists()
    assert Board.objects.get().name == "renamed"
    assert len(tasks(task.board)) == 2
    assert name_of(task.board) == name_of(Board.objects.get())


def test_inline_rows_can_be_deleted(admin: Client, task: Task) -> None:
    page = opened(admin, page_of(task.board))
    save(admin, page_of(task.board), form_data(page, **{"tasks-0-DELETE": "on"}))
    assert not Task.objects.exists()


def test_times_that_are_set_by_each_save_are_set(admin: Client) -> None:
    recipe = Recipe.objects.create(title="one")
    before = recipe.changed
    page = opened(admin, page_of(recipe))
    save(admin, page_of(recipe), form_data(page, title="two"))
    recipe.refresh_from_db()
    assert recipe.title == "two"
    assert recipe.changed > before
