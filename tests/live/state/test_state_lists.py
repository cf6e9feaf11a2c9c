"""Lists of root rows: what enters and leaves by itself, and what code puts in and takes out."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from collab import documents
from collab.live.models import StateList
from collab.live.state.declared_state import ROOT_ROWS, state_of
from collab.mirror import reconcile
from collab.mirror.models import MirroredDocument
from collab.testing import close_rooms, connect
from tests.live.state.states import a_task, stored, tables
from tests.mirror.databases import kept_in, on_both
from tests.projects.consumers import ProjectLive, Shelf, application
from tests.projects.models import Client, Draft, Project, Tag, Task

pytestmark = pytest.mark.django_db(transaction=True)


def open_list(name: str) -> str:
    """Make the document of a list, as if it had been opened."""
    StateList.objects.get_or_create(name=name)
    assert reconcile(name)
    return name


def open_clients(client: Client) -> str:
    return open_list(f'projects.ProjectList/{{"client":{client.pk}}}')


def order(name: str) -> list[int]:
    """Return the primary keys of the root rows in a document, in order."""
    found = stored(name)
    [row] = found[ROOT_ROWS].values()
    keys: list[int] = row["keys"]
    tables_of_root_rows = {"Project", "BriefProject", "Draft"} & found.keys()
    root_rows = {key for table in tables_of_root_rows for key in found[table]}
    assert {str(key) for key in keys} == root_rows
    return keys


# By themselves.


@on_both
def test_root_rows_enter_and_leave_lists_that_update_themselves(using: str) -> None:
    with kept_in(using):
        ann, bob = (Client.objects.create(name=name) for name in ("Ann", "Bob"))
        anns, bobs = open_clients(ann), open_clients(bob)
        kitchen = Project.objects.create(name="Kitchen", client=ann)
        bath = Project.objects.create(name="Bath", client=ann)
        task = a_task(kitchen)
        assert (order(anns), order(bobs)) == ([bath.pk, kitchen.pk], [])
        bath.name = "Large bath"
        bath.save()
        assert order(anns) == [kitchen.pk, bath.pk]
        kitchen.client = bob
        kitchen.save()
        assert (order(anns), order(bobs)) == ([bath.pk], [kitchen.pk])
        assert list(stored(bobs)["Task"]) == [str(task.pk)]
        assert "Task" not in stored(anns)
        kitchen.delete()
        assert order(bobs) == []


@on_both
def test_lists_do_not_learn_of_what_is_rolled_back(using: str) -> None:
    with kept_in(using):
        ann = Client.objects.create(name="Ann")
        name = open_clients(ann)
        with transaction.atomic(using):
            Project.objects.create(name="Kitchen", client=ann)
            transaction.set_rollback(True, using)
        assert order(name) == []


def test_every_list_that_shows_a_model_is_told() -> None:
    ann = Client.objects.create(name="Ann")
    project = Project.objects.create(name="*Kitchen", client=ann)
    names = open_clients(ann), open_list("projects.Shelf/")
    project.tags.add(Tag.objects.create(name="urgent"))
    for name in names:
        assert len(stored(name)["Tag"]) == 1


def test_root_rows_enter_other_lists_when_these_are_opened() -> None:
    name = open_list("projects.Shelf/")
    one, two = (Project.objects.create(name=f"*{number}") for number in range(2))
    Project.objects.create(name="Kitchen")
    assert order(name) == []
    reconcile(name)
    assert order(name) == [two.pk, one.pk]
    two.name = "Bath"
    two.save()
    assert order(name) == [one.pk]


def test_a_row_that_is_in_no_list_is_not_looked_for_in_each() -> None:
    ann = Client.objects.create(name="Ann")
    open_clients(ann)
    record, changes = MirroredDocument.objects.get(), StateList.objects.get()
    assert str(changes) == record.name
    Project.objects.create(name="Kitchen", client=Client.objects.create(name="Bob"))
    assert MirroredDocument.objects.get() == record


# By hand.


async def test_code_changes_the_list_that_all_see() -> None:
    user = await User.objects.acreate(username="ann")
    kept = [await Project.objects.acreate(name=f"*{number}") for number in range(2)]
    others = [await Project.objects.acreate(name=f"{number}") for number in range(2)]
    first, second = kept[1].pk, kept[0].pk
    async with connect(application, "/ws/shelf", user=user) as client:

        def keys() -> list[int]:
            state = state_of(Shelf)
            assert state is not None
            [row] = tables(client.doc, state)[ROOT_ROWS].values()
            found: list[int] = [int(key) for key in row["keys"]]
            return found

        shelf = Shelf()
        shelf.scope = {"user": user}
        await shelf.add_instance(others[0])
        await client.wait_until(lambda: keys() == [first, second, others[0].pk])
        await shelf.add_instance(others[1].pk, at_beginning=True)
        await client.wait_until(lambda: keys() == [others[1].pk, first, second, others[0].pk])
        await shelf.remove_instance(first)
        await shelf.remove_instance(others[0])
        await client.wait_until(lambda: keys() == [others[1].pk, second])
        await shelf.add_instance(kept[1])
        await client.wait_until(lambda: keys() == [others[1].pk, second, first])
    # The process has been started anew.
    await close_rooms()
    async with connect(application, "/ws/shelf", user=user) as client:
        assert keys() == [others[1].pk, second, first]
        await shelf.clear()
        await client.wait_until(lambda: keys() == [])
        await shelf.add_instance(second)
        await client.wait_until(lambda: keys() == [second])
        await shelf.reset()
        await client.wait_until(lambda: keys() == [first, second])


async def test_a_state_with_one_root_row_has_no_list() -> None:
    with pytest.raises(ImproperlyConfigured, match="many=True"):
        await ProjectLive().add_instance(1)


# For each user.


def test_a_list_of_own_rows_has_no_others() -> None:
    ann, bob = (User.objects.create(username=name) for name in ("ann", "bob"))
    anns, bobs = (open_list(f"projects.Drafts/@{user.pk}") for user in (ann, bob))
    draft = Draft.objects.create(user=ann, text="secret")
    assert (order(anns), order(bobs)) == ([draft.pk], [])
    assert b"secret" not in documents.read(bobs).get_update()
    draft.user = bob
    draft.save()
    assert (order(anns), order(bobs)) == ([], [draft.pk])
    # Of which list_instances() says, with the user, that it is not in the list.
    draft.text = "bob"
    draft.save()
    assert order(bobs) == []
    assert Task.objects.count() == 0
