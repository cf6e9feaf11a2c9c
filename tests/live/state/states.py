"""Documents of states in tests: those of projects, as they are stored or at a client."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Map

from collab import documents
from collab.live.state.declared_state import ROOT_ROWS, State, states
from collab.mirror import reconcile
from collab.mirror.rows.values import plain
from tests.projects.models import Project, Task

__all__ = ["a_task", "name_of", "open_project", "shown", "stored", "tables"]

Tables = dict[str, dict[str, Any]]


def tables(doc: Doc[Any], state: State) -> Tables:
    """Return what is in the maps of a state's document, without those that are empty."""
    names = [*state.tables, *([ROOT_ROWS] if state.many else [])]
    found = {name: plain(doc.get(name, type=Map).to_py()) for name in names}
    short = {name: name.removeprefix("projects.").removesuffix("Serializer") for name in names}
    return {short[name]: rows for name, rows in found.items() if rows}


def stored(name: str) -> Tables:
    """Return what is stored of the document ``name`` of a state."""
    [state] = [state for state in states() if name.startswith(f"{state.label}/")]
    return tables(documents.read(name), state)


def name_of(project: Project) -> str:
    """Return the name of a project's document."""
    return f"projects.ProjectLive/{project.pk}"


def shown(project: Project) -> Tables:
    """Return what is stored of a project's document."""
    return stored(name_of(project))


def open_project(name: str = "Kitchen", **values: Any) -> Project:
    """Make a project whose document has been opened."""
    project = Project.objects.create(name=name, **values)
    assert reconcile(name_of(project))
    return project


def a_task(project: Project, **values: Any) -> Task:
    """Make a task."""
    return Task.objects.create(**{"project": project, "title": "Paint"} | values)
