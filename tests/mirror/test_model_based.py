"""Whatever is done to rows, at random, the documents that are open are as the rows (I10)."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from pycrdt import Text

from collab import documents
from collab.conf import get_storage
from collab.mirror import reconcile, touch
from collab.mirror.models import MirroredDocument
from collab_storage.compaction import compact
from tests.rows.models import Board, Label, Note, Task

from .boards import in_maps, name_of, row_values
from .databases import kept_in, on_both

numbers = st.integers(0, 5)
texts = st.text("ab é😀\n", max_size=8)


class Rows(RuleBasedStateMachine):
    """Three boards, some of whose documents are open, and what is done to their rows."""

    using = "default"

    @initialize()
    def begin(self) -> None:
        self.boards = [Board.objects.create(name=name) for name in "abc"]
        self.labels = [Label.objects.create(name=name) for name in "xy"]
        self.open: set[str] = set()
        self.blocks: list[transaction.Atomic] = []
        #: Instances that others have changed the rows of since.
        self.stale: list[Task] = []

    def task(self, number: int) -> Task | None:
        tasks = list(Task.objects.all())
        return tasks[number % len(tasks)] if tasks else None

    # Documents.

    @rule(number=numbers)
    def open_board(self, number: int) -> None:
        if not self.blocks:
            name = name_of(self.boards[number % 3])
            reconcile(name)
            self.open.add(name)

    @rule(number=numbers)
    def delete_document(self, number: int) -> None:
        if not self.blocks:
            name = name_of(self.boards[number % 3])
            documents.delete(name)
            self.open.discard(name)

    @rule(number=numbers)
    def rename_document(self, number: int) -> None:
        name = name_of(self.boards[number % 3])
        if not self.blocks and documents.exists(name) and not documents.exists(f"old {name}"):
            documents.rename(name, f"old {name}")
            self.open.discard(name)

    @rule(number=numbers)
    def begin_another_document(self, number: int) -> None:
        name = name_of(self.boards[number % 3])
        if not (self.blocks or documents.exists(name) or name in self.open):
            with documents.edit(name) as doc:
                doc.get("text", type=Text).insert(0, "text")

    @rule(number=numbers)
    def compact_document(self, number: int) -> None:
        async_to_sync(compact)(get_storage(), name_of(self.boards[number % 3]))

    @rule(number=numbers)
    def forget_what_was_written(self, number: int) -> None:
        # As if the process had ended after the commit.
        name = name_of(self.boards[number % 3])
        if not self.blocks and name in self.open:
            self.open.discard(name)
            Task._base_manager.filter(board=self.boards[number % 3]).update(title="lost")

    # Rows.

    @rule(number=numbers, text=texts)
    def create(self, number: int, text: str) -> None:
        Task.objects.create(board=self.boards[number % 3], title=text, body=text)
        Note.objects.create(board=self.boards[number % 3], text=text)

    @rule(number=numbers, text=texts)
    def save(self, number: int, text: str) -> None:
        if task := self.task(number):
            self.stale.append(self.task(number) or task)
            task.title, task.body, task.extra = text, task.body + text, {"text": [text, number]}
            task.save()

    @rule(number=numbers)
    def save_field(self, number: int) -> None:
        if task := self.task(number):
            task.position = number
            task.save(update_fields=["position"])

    @rule(number=numbers, to=numbers)
    def move(self, number: int, to: int) -> None:
        if task := self.task(number):
            task.board = self.boards[to % 3]
            task.save(update_fields=["board"])

    @rule(number=numbers)
    def save_what_is_stale(self, number: int) -> None:
        if self.stale:
            self.stale.pop(number % len(self.stale)).save()

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        if task := self.task(number):
            task.delete()

    @rule(number=numbers, text=texts)
    def insert_many(self, number: int, text: str) -> None:
        board = self.boards[number % 3]
        Task.objects.bulk_create(Task(board=board, title=text) for _ in range(number))

    @rule(one=numbers, other=numbers)
    def move_many(self, one: int, other: int) -> None:
        board = self.boards[other % 3]
        Task.objects.filter(board=self.boards[one % 3], position__lt=3).update(board=board)

    @rule(number=numbers, text=texts)
    def update_many(self, number: int, text: str) -> None:
        rows = list(Task.objects.filter(board=self.boards[number % 3]))
        for row in rows:
            row.body = text + row.body[1:]
        Task.objects.bulk_update(rows, ["body"])

    @rule(number=numbers)
    def delete_many(self, number: int) -> None:
        Task.objects.filter(position=number).delete()

    @rule(number=numbers, text=texts)
    def touch(self, number: int, text: str) -> None:
        rows = Task._base_manager.filter(board=self.boards[number % 3])
        rows.update(title=text)
        touch(rows)

    @rule(number=numbers, other=numbers)
    def label(self, number: int, other: int) -> None:
        if task := self.task(number):
            label = self.labels[other % 2]
            [task.labels.add, task.labels.remove][other % 2](label)
            label.task_set.set(Task.objects.filter(position=other))

    # Transactions.

    @rule()
    def enter(self) -> None:
        self.blocks.append(transaction.atomic(self.using))
        self.blocks[-1].__enter__()

    @rule(commit=st.booleans())
    def leave(self, commit: bool) -> None:
        if self.blocks:
            transaction.set_rollback(not commit, self.using)
            self.blocks.pop().__exit__(None, None, None)

    @invariant()
    def documents_are_as_the_rows(self) -> None:
        if not self.blocks:
            for name in self.open:
                assert in_maps(name) == row_values(name)

    def teardown(self) -> None:
        while self.blocks:
            self.leave(commit=True)
        self.documents_are_as_the_rows()
        Board.objects.all().delete()
        Label.objects.all().delete()
        self.documents_are_as_the_rows()
        MirroredDocument.objects.all().delete()
        for info in list(documents.list_documents()):
            documents.delete(info.name)


@on_both
def test_documents_are_as_the_rows(using: str) -> None:
    Rows.using = using
    with kept_in(using):
        run_state_machine_as_test(
            Rows,
            settings=settings(
                max_examples=25,
                stateful_step_count=30,
                suppress_health_check=list(HealthCheck),
            ),
        )
