"""Consumers with a state: who may open it, what clients may change, and what they never get."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from channels.routing import URLRouter
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.urls import path
from pycrdt import Doc, Map

from collab import documents
from collab.live import LiveConsumer
from collab.live.state import declared_state as state
from collab.live.state.declared_state import state_of
from collab.mirror import reconcile
from collab.testing import CollabClient, ConnectionClosed, connect
from collab_storage.models import Document, Update
from tests.live.state.states import stored
from tests.projects.consumers import ForThoseLoggedIn, application
from tests.projects.models import Attachment, Client, Comment, Person, Project, Step, Task
from tests.projects.serializers import BriefProjectSerializer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("quick"),
]

#: Is in all values that others may not see.
SECRET = "for-own-eyes"


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget afterwards what states the test declares."""
    monkeypatch.setattr(state, "_states", {**state._states})


@pytest.fixture
def quick() -> Any:
    """Have what clients change checked at once."""
    with override_settings(COLLAB={"DEFAULT_ACCESS": "write", "ROWS_DELAY": 0.01}):
        yield


async def a_user(name: str = "ann", **values: Any) -> User:
    return await User.objects.acreate(username=name, **values)


async def a_project(**values: Any) -> tuple[Project, str]:
    """Return a project and its address."""
    project = await Project.objects.acreate(**{"name": "Kitchen"} | values)
    return project, f"/ws/projects/{project.pk}"


def rows(client: CollabClient, name: str) -> Map[Any]:
    found: Map[Any] = client.doc.get(f"projects.{name}Serializer", type=Map)
    return found


async def refused(address: str, user: Any, router: Any = application) -> int:
    """Return the code that a connection is closed with."""
    with pytest.raises(ConnectionClosed) as caught:
        async with connect(router, address, user=user):
            pytest.fail("It was not refused.")
    return caught.value.code


# Who may open it.


async def test_a_state_without_has_permission_is_closed() -> None:
    class Closed(LiveConsumer):
        class Meta:
            state = BriefProjectSerializer()

    router = URLRouter([path("ws/<int:project>", Closed.as_asgi())])
    project, _ = await a_project()
    user = await a_user(is_superuser=True)
    assert await refused(f"/ws/{project.pk}", user, router) == 4403
    assert await refused(f"/ws/{project.pk}", AnonymousUser(), router) == 4401


async def test_not_implemented_permits_nothing() -> None:
    class Undecided(LiveConsumer):
        class Meta:
            state = BriefProjectSerializer()

        async def has_permission(self, user: Any, **kwargs: Any) -> Any:
            return NotImplemented

    router = URLRouter([path("ws/<int:project>", Undecided.as_asgi())])
    project, _ = await a_project()
    assert await refused(f"/ws/{project.pk}", await a_user(), router) == 4403


async def test_permission_that_is_decorated_is_waited_for() -> None:
    def strictly(function: Any) -> Any:
        return lambda *args, **kwargs: function(*args, **kwargs)

    class Decorated(LiveConsumer):
        class Meta:
            state = BriefProjectSerializer()

        @staticmethod
        @strictly
        async def has_permission(user: Any, project: int) -> bool:
            return bool(user.is_staff)

    router = URLRouter([path("ws/<int:project>", Decorated.as_asgi())])
    project, _ = await a_project()
    assert await refused(f"/ws/{project.pk}", await a_user(), router) == 4403
    async with connect(router, f"/ws/{project.pk}", user=await a_user("bob", is_staff=True)) as bob:
        assert bob.access == "read"


async def test_a_user_who_loses_the_permission_is_disconnected() -> None:
    user, (project, address) = await a_user(), await a_project()
    name = f"projects.ProjectLive/{project.pk}"
    async with (
        connect(application, f"/ws/desk/{project.pk}", user=user) as client,
        connect(application, address, user=user) as other,
    ):
        project.name = "hidden"
        await project.asave()
        await documents.arecheck_access(f"projects.Desk/{project.pk}@{user.pk}")
        assert (await client.wait_closed()).code == 4403
        # Of what is deleted nothing is left to see.
        await project.adelete()
        await documents.arecheck_access(name)
        await other.wait_until(lambda: len(rows(other, "Project")) == 0)


async def test_permission_may_be_asked_for_in_a_thread() -> None:
    (shown_, _), (hidden, _) = await a_project(), await a_project(name="hidden")
    user = await a_user()
    async with connect(application, f"/ws/desk/{shown_.pk}", user=user) as client:
        assert rows(client, "BriefProject")[str(shown_.pk)]["name"] == "Kitchen"
    assert await refused(f"/ws/desk/{hidden.pk}", user) == 4403


async def test_a_document_of_a_user_is_for_users_only() -> None:
    project, _ = await a_project()
    assert await refused(f"/ws/desk/{project.pk}", AnonymousUser()) == 4401


async def test_a_row_that_does_not_exist_is_404_for_permitted_users() -> None:
    user = await a_user()
    assert await refused("/ws/projects/77", user) == 4404
    assert await refused("/ws/projects/77", AnonymousUser()) == 4401
    assert await refused("/ws/tasks/x", user) == 4404


async def test_a_state_without_operations_is_read_only() -> None:
    project, _ = await a_project()
    user = await a_user()
    async with connect(application, f"/ws/desk/{project.pk}", user=user) as client:
        assert client.access == "read"


async def test_subclasses_have_states_of_their_own_and_inherit_rules() -> None:
    class Base(ForThoseLoggedIn):
        class Meta:
            state = BriefProjectSerializer()
            abstract = True

        @classmethod
        def get_instance_id(cls, prefix: str, pk: int) -> int:
            return pk

    class Inherited(Base):
        pass

    assert state_of(Base) is None
    assert state_of(Inherited) is not None
    router = URLRouter([path("<prefix>/", URLRouter([path("<int:pk>", Inherited.as_asgi())]))])
    project, _ = await a_project()
    async with connect(router, f"/ws/{project.pk}", user=await a_user()) as client:
        assert rows(client, "BriefProject")[str(project.pk)]["name"] == "Kitchen"


async def test_only_consumers_with_a_state_need_the_app_of_mirrored_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "collab.mirror")
    apps.get_app_config("collab_live").ready()

    class Plain(LiveConsumer):
        pass

    assert state_of(Plain) is None
    with pytest.raises(ImproperlyConfigured, match="mirror"):

        class Stateful(LiveConsumer):
            class Meta:
                state = BriefProjectSerializer()


# Offline.


async def test_deletions_and_moves_while_a_client_is_offline_reach_it() -> None:
    user, (project, address) = await a_user(), await a_project()
    other, _ = await a_project(name="Bath")
    kept, deleted, moved = [
        await Task.objects.acreate(project=project, title=title) for title in ("a", "b", "c")
    ]
    doc = Doc[Any]()
    async with connect(application, address, user=user, doc=doc) as client:
        assert len(rows(client, "Task")) == 3
    await deleted.adelete()
    moved.project = other
    await moved.asave()
    kept.title = "new"
    await kept.asave()
    async with connect(application, address, user=user, doc=doc) as client:
        await client.wait_until(lambda: set(rows(client, "Task").keys()) == {str(kept.pk)})
        assert rows(client, "Task")[str(kept.pk)]["title"] == "new"
        [row] = rows(client, "Project").values()
        assert list(row["tasks"]) == [kept.pk]


# What clients change.


async def refusal(client: CollabClient, change: Callable[[], None]) -> tuple[int, list[str]]:
    """Return the status of the refusal that a change leads to, and the reasons."""
    number = len(client.errors)
    change()
    await client.wait_until(lambda: len(client.errors) > number)
    return client.messages[-1]["response_status"], client.messages[-1]["errors"]


async def test_clients_save_create_and_delete_what_they_may() -> None:
    user, (project, address) = await a_user(is_staff=True), await a_project()
    bob = await Person.objects.acreate(name="Bob")
    task = await Task.objects.acreate(project=project, title="Paint")
    async with connect(application, address, user=user) as client:
        tasks, steps = rows(client, "Task"), rows(client, "Step")
        tasks[str(task.pk)]["assignee_id"] = bob.pk
        await client.wait_until(lambda: list(rows(client, "Person").keys()) == [str(bob.pk)])
        tasks[str(uuid4())] = Map({"title": "Sweep"})
        await client.wait_until(lambda: client.messages[-1]["action"] == "row_created")
        key = client.messages[-1]["data"]["new_key"]
        steps[str(uuid4())] = Map({"name": "Buy a broom", "task": int(key)})
        await client.wait_until(lambda: tasks[key].get("steps"))
        assert len(steps) == 1
        del tasks[str(task.pk)]
        await client.wait_until(lambda: len(rows(client, "Person")) == 0)
        [row] = rows(client, "Project").values()
        await client.wait_until(lambda: row["tasks"] == [int(key)])
    left = await Task.objects.aget()
    assert (left.title, left.project_id) == ("Sweep", project.pk)
    assert (await Step.objects.aget()).task_id == left.pk


async def test_changes_without_permission_are_refused_and_not_saved() -> None:
    user, (project, address) = await a_user(), await a_project()
    task = await Task.objects.acreate(project=project, title="Paint")
    async with connect(application, address, user=user) as client:
        tasks, key = rows(client, "Task"), str(task.pk)
        forbidden = 403, ["You may not do this."]
        assert await refusal(client, lambda: tasks[key].update({"title": "x"})) == forbidden
        assert (
            await refusal(client, lambda: tasks.update({str(uuid4()): Map({"title": "x"})}))
            == forbidden
        )
        assert await refusal(client, lambda: tasks.pop(key)) == forbidden
        await client.wait_until(lambda: key in tasks and tasks[key]["title"] == "Paint")
        assert len(tasks) == 1


async def test_clients_may_wait_until_what_they_have_changed_is_settled() -> None:
    user, (project, address) = await a_user(is_staff=True), await a_project()
    task = await Task.objects.acreate(project=project, title="Paint")
    with override_settings(COLLAB={"DEFAULT_ACCESS": "write", "ROWS_DELAY": 1000.0}):
        async with connect(application, address, user=user) as client:
            rows(client, "Task")[str(task.pk)]["title"] = "Sweep"
            client.send(json.dumps({"action": "settle_rows", "request_id": 1}))
            await client.wait_until(lambda: client.messages[-1]["request_id"] == 1)
            await task.arefresh_from_db()
            assert task.title == "Sweep"


async def test_where_there_is_no_state_there_is_nothing_to_settle() -> None:
    router = URLRouter([path("ws/<str:room>", LiveConsumer.as_asgi())])
    async with connect(router, "/ws/any", user=await a_user()) as client:
        client.send(json.dumps({"action": "settle_rows", "request_id": 1}))
        await client.wait_until(lambda: client.messages[-1]["request_id"] == 1)
        assert client.messages[-1]["response_status"] == 404


@pytest.mark.parametrize("question", ["can_save", "can_create", "can_delete"])
def test_operations_without_a_rule_are_refused(question: str) -> None:
    assert getattr(LiveConsumer, question)(User(is_superuser=True), Task(), {}) is False
    assert state_of(LiveConsumer) is None


async def test_fields_that_are_not_declared_writable_are_read_only() -> None:
    user, (project, address) = await a_user(is_staff=True), await a_project()
    task = await Task.objects.acreate(project=project, title="keep")
    step = await Step.objects.acreate(task=task, name="Buy paint")
    async with connect(application, address, user=user) as client:
        own = rows(client, "Project")[str(project.pk)]
        steps, tasks = rows(client, "Step"), rows(client, "Task")
        read_only = 403, ["You may not change this."]
        assert await refusal(client, lambda: own.update({"name": "x"})) == read_only
        assert await refusal(client, lambda: own.update({"tasks": []})) == read_only
        row = tasks[str(task.pk)]
        assert await refusal(client, lambda: row.update({"client_name": "x"})) == read_only
        assert await refusal(client, lambda: row.update({"id": 0})) == read_only
        assert await refusal(client, lambda: row.update({"title": "LOUD"})) == (
            400,
            ["Do not shout."],
        )
        # Steps may be saved and created, but not deleted; and of tasks some are kept.
        assert (await refusal(client, lambda: steps.pop(str(step.pk))))[0] == 403
        assert (await refusal(client, lambda: tasks.pop(str(task.pk))))[0] == 403
        await client.wait_until(lambda: len(steps) == 1 and own["name"] == "Kitchen")


async def test_rows_of_other_documents_are_out_of_reach() -> None:
    user, (project, address) = await a_user(is_staff=True), await a_project()
    other, _ = await a_project(name="Bath")
    foreign = await Task.objects.acreate(project=other, title="Tiles")
    own = await Task.objects.acreate(project=project, title="Paint")
    step = await Step.objects.acreate(task=own, name="Buy paint")
    async with connect(application, address, user=user) as client:
        tasks, steps = rows(client, "Task"), rows(client, "Step")
        put = {str(foreign.pk): Map({"title": "mine"})}
        assert (await refusal(client, lambda: tasks.update(put)))[0] == 400
        new = {str(uuid4()): Map({"name": "Grout", "task": foreign.pk})}
        assert (await refusal(client, lambda: steps.update(new)))[0] == 403
        row = steps[str(step.pk)]
        assert (await refusal(client, lambda: row.update({"task": foreign.pk})))[0] == 403
        await client.wait_until(lambda: row["task"] == own.pk and len(tasks) == 1)
        # The project of a task is that of the document.
        row = tasks[str(own.pk)]
        assert (await refusal(client, lambda: row.update({"project": other.pk})))[0] == 403
    await own.arefresh_from_db()
    await foreign.arefresh_from_db()
    assert (own.project_id, foreign.title) == (project.pk, "Tiles")
    assert await Step.objects.acount() == 1


async def test_root_rows_that_clients_add_are_in_the_list() -> None:
    user = await a_user()
    ann = await Client.objects.acreate(name="Ann")
    async with connect(application, f"/ws/clients/{ann.pk}", user=user) as client:
        rows(client, "Project")[str(uuid4())] = Map({"name": "Kitchen"})
        await client.wait_until(lambda: client.messages[-1]["action"] == "row_created")
        [order] = client.doc.get("collab.roots", type=Map).values()
        await client.wait_until(lambda: len(order["keys"]) == 1)
        order["keys"] = [77]
        await client.wait_until(lambda: order["keys"] != [77])
    project = await Project.objects.aget()
    assert (project.name, project.client_id) == ("Kitchen", ann.pk)


# What others never get.


def in_database(name: str) -> bytes:
    """Return all that is stored of a document, its history included."""
    document = Document.objects.get(name=name)
    updates = Update.objects.filter(document=document).values_list("data", flat=True)
    return bytes(document.snapshot or b"") + b"".join(map(bytes, updates))


async def test_rows_of_users_are_in_their_own_documents_only() -> None:
    ann, bob = await a_user(), await a_user("bob")
    project, _ = await a_project()
    task = await Task.objects.acreate(project=project, title="Paint")
    address = f"/ws/tasks/{task.pk}"
    async with (
        connect(application, address, user=ann) as anns,
        connect(application, address, user=bob) as bobs,
    ):
        rows(anns, "Comment")[str(uuid4())] = Map({"text": SECRET, "task": task.pk})
        await anns.wait_until(lambda: anns.messages[-1]["action"] == "row_created")
        comment = await Comment.objects.aget()
        assert comment.user_id == ann.pk
        await Attachment.objects.acreate(comment=comment, name=SECRET)
        await anns.wait_until(lambda: len(rows(anns, "Attachment")) == 1)
        own = await Comment.objects.acreate(task=task, user=bob, text="Mine")
        await bobs.wait_until(lambda: len(rows(bobs, "Comment")) == 1)
        [row] = rows(bobs, "DiscussedTask").values()
        await bobs.wait_until(lambda: row["comments"] == [own.pk])
        # What is somebody else's cannot be given to him, nor taken from him.
        mine = rows(bobs, "Comment")[str(own.pk)]
        assert (await refusal(bobs, lambda: mine.update({"user": ann.pk})))[0] == 403
        taken = {str(comment.pk): Map({"text": "x"})}
        assert (await refusal(bobs, lambda: rows(bobs, "Comment").update(taken)))[0] == 400
        assert SECRET.encode() not in bobs.doc.get_update()
        assert SECRET.encode() in anns.doc.get_update()
    assert await Comment.objects.filter(text=SECRET, user=ann).aexists()


def test_a_nested_row_of_another_user_is_null() -> None:
    ann, bob = (User.objects.create(username=name) for name in ("ann", "bob"))
    task = Task.objects.create(project=Project.objects.create(name="Kitchen"), title="Paint")
    comment = Comment.objects.create(task=task, user=ann, text=SECRET)
    pin = Attachment.objects.create(comment=comment, name="Plan")
    names = [f"projects.Pin/{pin.pk}@{user.pk}" for user in (ann, bob)]
    for name in names:
        assert reconcile(name)
    anns, bobs = map(stored, names)
    assert anns["Pin"][str(pin.pk)]["comment"] == comment.pk
    assert bobs == {"Pin": {str(pin.pk): {"id": pin.pk, "name": "Plan", "comment": None}}}
    comment.user = bob
    comment.save()
    assert SECRET.encode() in in_database(names[1])
    assert stored(names[0])["Pin"][str(pin.pk)]["comment"] is None


def test_nothing_of_others_is_in_what_is_stored() -> None:
    ann, bob = (User.objects.create(username=name) for name in ("ann", "bob"))
    task = Task.objects.create(project=Project.objects.create(name="Kitchen"), title="Paint")
    comment = Comment.objects.create(task=task, user=ann, text=SECRET)
    names = [f"projects.Discussion/{task.pk}@{user.pk}" for user in (ann, bob)]
    for name in names:
        assert reconcile(name)
    Attachment.objects.create(comment=comment, name=SECRET)
    comment.text = f"{SECRET} 2"
    comment.save()
    task.title = "Paint it"
    task.save()
    anns, bobs = map(in_database, names)
    assert SECRET.encode() in anns
    assert SECRET.encode() not in bobs
    assert b"Paint it" in bobs
    comment.user = bob
    comment.save()
    assert SECRET.encode() in in_database(names[1])
    assert not documents.read(names[0]).get("projects.CommentSerializer", type=Map)
