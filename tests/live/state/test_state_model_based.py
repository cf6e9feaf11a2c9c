"""Whatever is changed, alone or at the same time: documents of states are as the rows are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from threading import Thread
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from django.db.models import Model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collab.live.models import StateList
from collab.mirror import reconcile
from collab.mirror.outgoing.writing import Writing
from collab.mirror.registry import mirrors
from tests.live.state.states import Tables, name_of, open_project, stored
from tests.mirror.databases import kept_in
from tests.projects.models import Client, Person, Profile, Step, Tag, Task

NUMBERS = st.integers(0, 5)
#: Of methods of a world; those that threads may call at the same time come first.
KINDS = "task step assign move move_step delete tag untag client profile rename undo bulk together"
CHANGES = st.sampled_from(KINDS.split())


class World:
    """Three projects of two clients, whose documents and lists have been opened."""

    def __init__(self) -> None:
        self.clients = [Client.objects.create(name=name) for name in "ab"]
        self.projects = [open_project(name, client=self.clients[0]) for name in "cde"]
        self.people = [Person.objects.create(name=name) for name in "fgh"]
        self.tags = [Tag.objects.create(name=name) for name in "ij"]
        self.names = [name_of(project) for project in self.projects]
        for client in self.clients:
            name = f'projects.ProjectList/{{"client":{client.pk}}}'
            StateList.objects.create(name=name)
            assert reconcile(name)
            self.names.append(name)

    def change(self, kind: str, one: int, two: int) -> None:
        """Do something of a kind to a row, with another."""
        change: Callable[[int, int], None] = getattr(self, kind)
        change(one, two)

    def pick(self, rows: Sequence[Any], number: int) -> Any:
        return rows[number % len(rows)] if rows else None

    def task(self, one: int, two: int) -> None:
        Task.objects.create(project=self.pick(self.projects, one), title="t", position=two)

    def step(self, one: int, two: int) -> None:
        if task := self.pick(list(Task.objects.all()), one):
            Step.objects.create(task=task, name=str(two))

    def assign(self, one: int, two: int) -> None:
        if task := self.pick(list(Task.objects.all()), one):
            task.assignee = self.pick([*self.people, None], two)
            task.save()

    def move(self, one: int, two: int) -> None:
        if task := self.pick(list(Task.objects.all()), one):
            task.project = self.pick(self.projects, two)
            task.save()

    def move_step(self, one: int, two: int) -> None:
        if step := self.pick(list(Step.objects.order_by("pk")), one):
            step.task = self.pick(list(Task.objects.all()), two)
            step.save()

    def delete(self, one: int, two: int) -> None:
        rows: list[Model] = [*Task.objects.all(), *Profile.objects.order_by("pk")]
        if row := self.pick([*rows, *Step.objects.order_by("pk")], one + 6 * two):
            row.delete()

    def tag(self, one: int, two: int) -> None:
        self.pick(self.projects, one).tags.add(self.pick(self.tags, two))

    def untag(self, one: int, two: int) -> None:
        self.pick(self.tags, one).project_set.remove(self.pick(self.projects, two))

    def profile(self, one: int, two: int) -> None:
        person = self.pick(self.people, one)
        if not Profile.objects.filter(person=person).exists():
            Profile.objects.create(person=person, bio=str(two))

    def rename(self, one: int, two: int) -> None:
        row = self.pick([*self.people, *self.tags, *self.clients], one + 6 * two)
        row.name += "!"
        row.save()

    def client(self, one: int, two: int) -> None:
        project = self.pick(self.projects, one)
        project.client = self.pick([*self.clients, None], two)
        project.save()

    def undo(self, one: int, two: int) -> None:
        with transaction.atomic():
            self.task(one, two)
            self.step(one, two)
            transaction.set_rollback(True)

    def bulk(self, one: int, two: int) -> None:
        Task.objects.filter(position__lte=one).update(project=self.pick(self.projects, two))

    def together(self, one: int, two: int) -> None:
        with transaction.atomic():
            self.task(one, two)
            self.move(two, one)
            self.assign(one, two)
            self.delete(two, 0)


def expected(name: str) -> Tables:
    """Return what should be in a document."""
    found = Tables()
    for mirror in mirrors():
        rows = mirror.rows(name)
        if rows:
            short = mirror.map_name.removeprefix("projects.").removesuffix("Serializer")
            values = zip(rows, mirror.values(rows, name), strict=True)
            found[short] = {str(row.pk): value for row, value in values}
    return found


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=st.lists(st.tuples(CHANGES, NUMBERS, NUMBERS), min_size=8, max_size=20))
def test_documents_are_as_the_rows_are_after_each_change(
    changes: list[tuple[str, int, int]],
) -> None:
    world = World()
    for change in changes:
        world.change(*change)
        for name in world.names:
            assert stored(name) == expected(name), change


@pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
def test_documents_are_as_the_rows_are_after_changes_at_the_same_time() -> None:
    kinds = KINDS.split()[:9]
    with kept_in("postgres"):
        world = World()

        def change_at_random(seed: int) -> None:
            random = Random(seed)
            try:
                for _ in range(15):
                    try:
                        world.change(random.choice(kinds), random.randrange(6), random.randrange(6))
                    except DatabaseError:
                        # Two wanted the same rows, or one wanted what another has deleted.
                        continue
            finally:
                connections.close_all()

        threads = [Thread(target=change_at_random, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in world.names:
            assert stored(name) == expected(name)


@pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
def test_a_row_that_changes_while_it_enters_a_document_is_shown_as_it_is_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The transaction that changes it does not see yet that it is in the document."""
    finish, threads = Writing.finish, list[Thread]()
    with kept_in("postgres"):
        world = World()
        project = world.projects[0]
        task = Task.objects.create(project=project, title="t", position=0)
        name = world.names[-1]

        def add_step() -> None:
            try:
                Step.objects.create(task=task, name="s")
            finally:
                connections.close_all()

        def finish_late(document: Writing) -> None:
            if document.name == name and not threads:
                threads.append(Thread(target=add_step))
                threads[0].start()
                threads[0].join()
            finish(document)

        monkeypatch.setattr(Writing, "finish", finish_late)
        project.client = world.clients[-1]
        project.save()
        assert threads
        for each in world.names:
            assert stored(each) == expected(each)
