"""Lists of root rows: what enters and leaves by itself, and what code puts in and takes out."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from collab import documents
from collab.live.models import StateList
from collab.live.state.declared_state import ROOT_ROWS, State, state_of
from collab.mirror import reconcile
from collab.mirror.models import MirroredDocument
from collab.testing import close_rooms, connect
from tests.live.state.states import a_task, stored, tables
from tests.mirror.databases import kept_in, on_both
from tests.projects.consumers import ProjectLive, Search, Shelf, application
from tests.projects.models import Client, Draft, Project, Tag, Task

pytestmark = pytest.mark.django_db(transaction=True)


def state(consumer: type) -> State:
    found = state_of(consumer)
    assert found is not None
    return found


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


def test_every_list_with_rows_of_a_model_is_updated() -> None:
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


# For each connection.


def found_by(client: Any) -> list[int]:
    rows = tables(client.doc, state(Search)).get(ROOT_ROWS, {})
    return [int(key) for row in rows.values() for key in row["keys"]]


def names_in(client: Any) -> set[str]:
    return {row["name"] for row in tables(client.doc, state(Search))["BriefProject"].values()}


def search(client: Any, text: str, of: int) -> None:
    request = {"action": "search", "request_id": 1, "text": text, "client": of}
    client.send(json.dumps(request))


async def test_a_list_of_one_connection_is_seen_by_its_client_alone() -> None:
    user = await User.objects.acreate(username="ann")
    ann = await Client.objects.acreate(name="Ann")
    kitchen, bath = [
        await Project.objects.acreate(name=name, client=ann) for name in ("Kitchen", "Bath")
    ]
    url = f"/ws/search/{ann.pk}"
    async with (
        connect(application, url, user=user) as one,
        connect(application, url, user=user) as other,
    ):
        search(one, "it", ann.pk)
        search(other, "ath", ann.pk)
        await one.wait_until(lambda: found_by(one) == [kitchen.pk])
        await other.wait_until(lambda: found_by(other) == [bath.pk])
        search(one, "", ann.pk)
        await one.wait_until(lambda: found_by(one) == [bath.pk, kitchen.pk])
        assert found_by(other) == [bath.pk]
        # A row in a list follows its changes.
        kitchen.name = "Cellar"
        await kitchen.asave()
        await one.wait_until(lambda: names_in(one) == {"Bath", "Cellar"})


LIST = "0123456789abcdef"


async def test_a_client_that_comes_back_with_the_id_of_its_list_finds_it() -> None:
    user = await User.objects.acreate(username="ann")
    ann = await Client.objects.acreate(name="Ann")
    kitchen = await Project.objects.acreate(name="Kitchen", client=ann)
    url = f"/ws/search/{ann.pk}?list={LIST}"
    async with connect(application, url, user=user) as client:
        search(client, "it", ann.pk)
        await client.wait_until(lambda: found_by(client) == [kitchen.pk])
    async with connect(application, url, user=user) as client:
        assert found_by(client) == [kitchen.pk]
    for other in ("", "?list=short", f"?list={LIST}~x", f"?list={LIST}0"):
        async with connect(application, f"/ws/search/{ann.pk}{other}", user=user) as client:
            assert found_by(client) == []


async def test_lists_that_were_not_open_for_a_day_are_deleted() -> None:
    user = await User.objects.acreate(username="ann")
    names = []
    for client in (1, 2):
        async with connect(application, f"/ws/search/{client}?list={LIST}", user=user):
            names.append(f'projects.Search/{{"client":{client}}}~{LIST}')
    await close_rooms()
    old = timezone.now() - timedelta(days=1, seconds=1)
    await MirroredDocument.objects.filter(name=names[0]).aupdate(opened_at=old)
    async with connect(application, f"/ws/search/3?list={LIST}", user=user):
        pass
    assert [await documents.aexists(name) for name in names] == [False, True]
    for model in (StateList, MirroredDocument):
        kept = {name async for name in model.objects.values_list("name", flat=True)}
        assert names[0] not in kept and names[1] in kept


def test_a_name_without_the_id_of_a_list_is_no_document() -> None:
    assert state(Search).document('projects.Search/{"client":1}') is None


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
