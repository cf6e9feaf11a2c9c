"""Nested serializers as states: documents that follow whatever changes below, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from collab.live.state.declared_state import state_document
from collab.mirror import reconcile
from tests.live.state.states import a_task, name_of, open_project, shown
from tests.mirror.databases import kept_in, on_both
from tests.projects.models import Client, Person, Profile, Project, Step, Tag, Task

pytestmark = pytest.mark.django_db(transaction=True)


class Undone(Exception):
    """Rolls a block back."""


# What is shown.


def test_a_nested_serializer_becomes_flat_maps() -> None:
    client = Client.objects.create(name="Ann")
    project = Project.objects.create(name="Kitchen", client=client)
    tag = Tag.objects.create(name="urgent")
    project.tags.add(tag)
    bob = Person.objects.create(name="Bob")
    profile = Profile.objects.create(person=bob, bio="Painter")
    second, first = a_task(project, position=2), a_task(project, position=1, assignee=bob)
    step = Step.objects.create(task=first, name="Buy paint")
    reconcile(name_of(project))
    task: Any = {"title": "Paint", "project": project.pk, "client_name": "Ann"}
    none: Any = {"who": None, "assignee_id": None, "steps": []}
    his: Any = {"who": bob.pk, "assignee_id": bob.pk, "steps": [step.pk]}
    assert shown(project) == {
        "Project": {
            str(project.pk): {
                "id": project.pk,
                "name": "Kitchen",
                "client": client.pk,
                "tags": [tag.pk],
                "tasks": [first.pk, second.pk],
                "people": [bob.pk],
            }
        },
        "Client": {str(client.pk): {"id": client.pk, "name": "Ann"}},
        "Tag": {str(tag.pk): {"id": tag.pk, "name": "urgent"}},
        "Task": {
            str(first.pk): {"id": first.pk, "position": 1, **task, **his},
            str(second.pk): {"id": second.pk, "position": 2, **task, **none},
        },
        "Step": {str(step.pk): {"id": step.pk, "name": "Buy paint", "task": first.pk}},
        "Person": {str(bob.pk): {"id": bob.pk, "name": "Bob", "profile": profile.pk}},
        "Profile": {str(profile.pk): {"id": profile.pk, "bio": "Painter"}},
    }


def test_a_row_that_is_related_to_nothing_is_null() -> None:
    project = open_project()
    bob = Person.objects.create(name="Bob")
    a_task(project, assignee=bob)
    assert shown(project)["Project"][str(project.pk)]["client"] is None
    assert shown(project)["Person"][str(bob.pk)]["profile"] is None


@on_both
def test_changes_of_deeply_nested_rows_are_seen(using: str) -> None:
    with kept_in(using):
        project = open_project(client=Client.objects.create(name="Ann"))
        bob = Person.objects.create(name="Bob")
        profile = Profile.objects.create(person=bob, bio="Painter")
        step = Step.objects.create(task=a_task(project, assignee=bob), name="Buy paint")
        for row, field in ((bob, "name"), (profile, "bio"), (step, "name")):
            setattr(row, field, "new")
            row.save()
            table = shown(project)[type(row).__name__]
            assert [values[field] for values in table.values()] == ["new"]


@on_both
def test_a_leaf_that_moves_leaves_one_document_and_enters_the_other(using: str) -> None:
    with kept_in(using):
        one, other = open_project(), open_project("Bath")
        tasks = a_task(one), a_task(other)
        step = Step.objects.create(task=tasks[0], name="Buy paint")
        assert "Step" in shown(one)
        step.task = tasks[1]
        step.save()
        assert "Step" not in shown(one)
        assert list(shown(other)["Step"]) == [str(step.pk)]


@on_both
def test_a_row_brings_the_rows_that_it_leads_to(using: str) -> None:
    with kept_in(using):
        one, other = open_project(), open_project("Bath")
        bob = Person.objects.create(name="Bob")
        Profile.objects.create(person=bob, bio="Painter")
        task = a_task(one, assignee=bob)
        Step.objects.create(task=task, name="Buy paint")
        names = {"Task", "Step", "Person", "Profile"}
        assert names < shown(one).keys()
        task.project = other
        task.save()
        assert not names & shown(one).keys()
        assert names < shown(other).keys()
        task.delete()
        assert not names & shown(other).keys()


def test_a_row_stays_while_another_leads_to_it() -> None:
    project = open_project()
    bob = Person.objects.create(name="Bob")
    tasks = [a_task(project, assignee=bob) for _ in range(2)]
    for task, expected in zip(tasks, (True, False), strict=True):
        task.assignee = None
        task.save()
        assert ("Person" in shown(project)) == expected


def test_rows_leave_when_they_are_deleted_with_others() -> None:
    project = open_project()
    bob = Person.objects.create(name="Bob")
    task = a_task(project, assignee=bob)
    Step.objects.create(task=task, name="Buy paint")
    bob.delete()
    assert shown(project)["Task"][str(task.pk)]["who"] is None
    Task.objects.all().delete()
    assert list(shown(project)) == ["Project"]


def test_rows_of_many_to_many_come_and_go() -> None:
    project, tags = open_project(), [Tag.objects.create(name=name) for name in "ab"]
    project.tags.set(tags)
    assert shown(project)["Tag"].keys() == {str(tag.pk) for tag in tags}
    tags[0].project_set.remove(project)
    assert list(shown(project)["Tag"]) == [str(tags[1].pk)]
    project.tags.clear()
    assert "Tag" not in shown(project)


def test_rows_of_one_to_one_come_and_go() -> None:
    project = open_project()
    bob, cid = (Person.objects.create(name=name) for name in ("Bob", "Cid"))
    a_task(project, assignee=bob)
    profile = Profile.objects.create(person=bob, bio="Painter")
    assert shown(project)["Person"][str(bob.pk)]["profile"] == profile.pk
    profile.person = cid
    profile.save()
    assert shown(project)["Person"][str(bob.pk)]["profile"] is None
    assert "Profile" not in shown(project)


def test_properties_follow_the_rows_that_they_come_from() -> None:
    client = Client.objects.create(name="Ann")
    project = open_project(client=client)
    task = a_task(project)
    client.name = "Anna"
    client.save()
    assert shown(project)["Task"][str(task.pk)]["client_name"] == "Anna"
    task.assignee = Person.objects.create(name="Bob")
    task.save()
    assert shown(project)["Project"][str(project.pk)]["people"] == [task.assignee.pk]


def test_the_order_of_rows_is_that_of_the_list() -> None:
    project = open_project()
    one, two = a_task(project, position=1), a_task(project, position=2)
    one.position = 3
    one.save()
    assert shown(project)["Project"][str(project.pk)]["tasks"] == [two.pk, one.pk]


def test_rows_that_are_changed_many_at_once_are_seen() -> None:
    project = open_project()
    Task.objects.bulk_create(Task(project=project, title=name) for name in "ab")
    assert len(shown(project)["Task"]) == 2
    Task.objects.update(title="c")
    assert {row["title"] for row in shown(project)["Task"].values()} == {"c"}
    other = open_project("Bath")
    Task.objects.update(project=other)
    assert "Task" not in shown(project)
    assert len(shown(other)["Task"]) == 2


# Transactions.


@on_both
def test_a_rollback_leaves_no_trace_and_blocks_nothing(using: str) -> None:
    with kept_in(using):
        project = open_project()
        with pytest.raises(Undone), transaction.atomic(using):
            a_task(project)
            raise Undone
        for title in "abc":
            with transaction.atomic(using):
                with pytest.raises(Undone), transaction.atomic(using):
                    a_task(project, title="undone")
                    raise Undone
                a_task(project, title=title)
        titles = [row["title"] for row in shown(project)["Task"].values()]
        assert sorted(titles) == ["a", "b", "c"]


@on_both
def test_a_deletion_that_is_rolled_back_is_not_seen(using: str) -> None:
    with kept_in(using):
        project = open_project()
        task = a_task(project)
        before = shown(project)
        with transaction.atomic(using):
            with pytest.raises(Undone), transaction.atomic(using):
                Task.objects.get(pk=task.pk).delete()
                raise Undone
            project.save()
        assert shown(project) == before


def test_a_tree_that_is_made_in_one_transaction_is_seen_as_a_whole() -> None:
    project = open_project()
    with transaction.atomic():
        task = a_task(project, assignee=Person.objects.create(name="Bob"))
        Step.objects.create(task=task, name="Buy paint")
        assert "Task" not in shown(project)
    assert shown(project).keys() == {"Project", "Task", "Step", "Person"}


def test_handlers_that_save_a_row_again_do_not_disturb() -> None:
    project = open_project()

    def shorten(instance: Task, **kwargs: Any) -> None:
        if len(instance.title) > 3:
            instance.title = instance.title[:3]
            instance.save()

    post_save.connect(shorten, sender=Task)
    try:
        task = a_task(project, title="Wallpaper")
    finally:
        post_save.disconnect(shorten, sender=Task)
    assert shown(project)["Task"][str(task.pk)]["title"] == "Wal"


# Cost.


def queries_to_rename(tag: Tag, name: str) -> int:
    tag.name = name
    with CaptureQueriesContext(connection) as captured:
        tag.save()
    return len(captured)


def test_documents_are_found_by_one_query_however_many_they_are() -> None:
    one, many = (Tag.objects.create(name=name) for name in ("one", "many"))
    projects = [open_project(str(number)) for number in range(20)]
    for project in projects:
        project.tags.add(many)
    projects[0].tags.add(one)
    of_each = queries_to_rename(one, "1") - 2
    assert queries_to_rename(many, "20") == 2 + 20 * of_each
    assert of_each <= 7
    assert {rows["Tag"][str(many.pk)]["name"] for rows in map(shown, projects)} == {"20"}


def test_a_row_that_others_lead_to_in_many_ways_is_read_once() -> None:
    project, bob = open_project(), Person.objects.create(name="Bob")

    def queries() -> int:
        bob.name += "!"
        with CaptureQueriesContext(connection) as captured:
            bob.save()
        return len(captured)

    a_task(project, assignee=bob)
    before = queries()
    Task.objects.bulk_create(Task(project=project, title="Paint", assignee=bob) for _ in range(9))
    assert queries() == before


def test_rows_are_not_compared_when_what_they_belong_to_is_saved() -> None:
    task = a_task(open_project())
    Step.objects.create(task=task, name="Buy paint")
    task.title = "Sweep"
    with CaptureQueriesContext(connection) as captured:
        task.save()
    # Their keys are part of the task.
    assert len([query for query in captured if 'FROM "projects_step"' in query["sql"]]) == 1


def test_a_row_in_no_document_costs_one_query() -> None:
    tag = Tag.objects.create(name="urgent")
    Project.objects.create(name="Kitchen").tags.add(tag)
    assert queries_to_rename(tag, "soon") == 2


# Names.


@pytest.mark.parametrize(
    "name", ["projects.ProjectLive/x", "projects.Desk/1", "projects.ProjectList/x", "projects.X/1"]
)
def test_names_of_no_state_have_no_rows(name: str) -> None:
    assert state_document(name) is None
    assert not reconcile(name)
