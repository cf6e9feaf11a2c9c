"""Nested serializers as states: documents that follow whatever changes below, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, Map

from collab import documents
from collab.live.state import ANCHORS
from collab.mirror import reconcile
from collab.mirror.values import plain
from tests.projects.consumers import ProjectLive
from tests.projects.models import Client, Person, Profile, Project, Step, Tag, Task

pytestmark = pytest.mark.django_db(transaction=True)

PROJECTS, TASKS, STEPS, PEOPLE = (
    f"projects.{name}Serializer" for name in ("Project", "Task", "Step", "Person")
)


def tables(doc: Doc[Any]) -> dict[str, dict[str, Any]]:
    """Return what is in the maps of a state's document, without those that are empty."""
    names = [*ProjectLive.state.layers, ANCHORS] if ProjectLive.state else []
    found = {name: plain(doc.get(name, type=Map).to_py()) for name in names}
    return {name.removeprefix("projects."): rows for name, rows in found.items() if rows}


def shown(project: Project) -> dict[str, dict[str, Any]]:
    """Return what is stored in the document of a project."""
    return tables(documents.read(f"projects.ProjectLive/{project.pk}"))


def open_project(**values: Any) -> Project:
    """Make a project whose document has been opened."""
    project = Project.objects.create(**{"name": "Kitchen"} | values)
    assert reconcile(f"projects.ProjectLive/{project.pk}")
    return project


def a_task(project: Project, **values: Any) -> Task:
    return Task.objects.create(**{"project": project, "title": "Paint"} | values)


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
    reconcile(f"projects.ProjectLive/{project.pk}")
    task = {"title": "Paint", "project": project.pk, "client_name": "Ann"}
    none: Any = {"who": None, "assignee_id": None, "steps": []}
    his = {"who": bob.pk, "assignee_id": bob.pk, "steps": [step.pk]}
    assert shown(project) == {
        "ProjectSerializer": {
            str(project.pk): {
                "id": project.pk,
                "name": "Kitchen",
                "client": client.pk,
                "tags": [tag.pk],
                "tasks": [first.pk, second.pk],
                "people": [bob.pk],
            }
        },
        "ClientSerializer": {str(client.pk): {"id": client.pk, "name": "Ann"}},
        "TagSerializer": {str(tag.pk): {"id": tag.pk, "name": "urgent"}},
        "TaskSerializer": {
            str(first.pk): {"id": first.pk, "position": 1, **task, **his},
            str(second.pk): {"id": second.pk, "position": 2, **task, **none},
        },
        "StepSerializer": {
            str(step.pk): {"id": step.pk, "name": "Buy paint", "task": first.pk},
        },
        "PersonSerializer": {str(bob.pk): {"id": bob.pk, "name": "Bob", "profile": profile.pk}},
        "ProfileSerializer": {str(profile.pk): {"id": profile.pk, "bio": "Painter"}},
    }


def test_rows_enter_as_they_are_related() -> None:
    project = open_project()
    assert list(shown(project)) == ["ProjectSerializer"]
    task = a_task(project)
    step = Step.objects.create(task=task, name="Buy paint")
    assert shown(project)["StepSerializer"][str(step.pk)]["name"] == "Buy paint"
