"""A document whose lock is held elsewhere delays no other work of the process, and loses no row."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.db import database_sync_to_async
from django.db import connections

from collab.mirror import reconcile
from collab.mirror.outgoing import backlog
from tests.harness.waiting import DEADLINE, until
from tests.mirror.boards import assert_equal, name_of, open_board, tasks, updates
from tests.mirror.databases import kept_in, on_both, served_from, together
from tests.mirror.test_concurrency import environment_of
from tests.mirror.test_retry import IMPATIENCE, counting_failures, locked_elsewhere, run
from tests.rows.mirrors import TaskMirror
from tests.rows.models import Board, Task

on_postgres = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


async def written() -> None:
    """Return when the rows that waited for documents are in them."""
    await until(lambda: not backlog._backlog._waiting)


async def in_shared_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function in the thread that another transaction may not keep waiting."""
    async with asyncio.timeout(DEADLINE / 2):
        return await database_sync_to_async(function)(*args, **kwargs)


@on_postgres
async def test_saves_in_the_shared_thread_wait_for_no_document_and_are_written_together() -> None:
    async with served_from("postgres"):
        board = await sync_to_async(open_board)()
        other = await sync_to_async(open_board)("other")
        await sync_to_async(Task.objects.create)(board=board, title="first")
        stored = await sync_to_async(updates)(name_of(board))
        with locked_elsewhere(board, "postgres"):
            for number in range(4):
                await in_shared_thread(Task.objects.create, board=board, title=str(number))
            assert len(await in_shared_thread(tasks, board)) == 1
            # Another document is written at once.
            task = await in_shared_thread(Task.objects.create, board=other, title="one")
            assert str(task.pk) in await in_shared_thread(tasks, other)
        await written()
        await sync_to_async(assert_equal)([board, other])
        assert len(await sync_to_async(tasks)(board)) == 5
        # The first may be written before the others are added.
        assert await sync_to_async(updates)(name_of(board)) <= stored + 2


@on_postgres
async def test_all_rows_of_a_locked_document_are_compared_when_it_is_free() -> None:
    async with served_from("postgres"):
        board = await sync_to_async(open_board)()

        def create() -> None:
            # Their keys are not known.
            Task.objects.bulk_create([Task(board=board)], ignore_conflicts=True)

        await in_shared_thread(create)
        assert len(await sync_to_async(tasks)(board)) == 1
        with locked_elsewhere(board, "postgres"):
            await in_shared_thread(create)
            await in_shared_thread(create)
        await written()
        assert len(await sync_to_async(tasks)(board)) == 3


@on_postgres
async def test_row_that_moves_while_it_is_written_is_looked_at_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = TaskMirror.values
    async with served_from("postgres"):
        one = await sync_to_async(open_board)()
        two = await sync_to_async(open_board)("two")
        moved: list[bool] = []

        def move_meanwhile(self: TaskMirror, rows: Any, name: str) -> Any:
            found = values(self, rows, name)
            if name == name_of(one) and not moved:
                moved.append(True)
                together(lambda: Task.objects.update(board=two))
            return found

        with monkeypatch.context() as patch:
            patch.setattr(TaskMirror, "values", move_meanwhile)
            await in_shared_thread(Task.objects.create, board=one)
        await written()
        await sync_to_async(assert_equal)([one, two])
        assert await sync_to_async(tasks)(one) == {}


@on_both
async def test_error_that_does_not_pass_is_logged_once(
    using: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: TaskMirror, rows: Any, name: str) -> Any:
        raise ValueError("no values")

    async with served_from(using):
        board = await sync_to_async(open_board)()
        with monkeypatch.context() as patch:
            patch.setattr(TaskMirror, "values", fail)
            await in_shared_thread(Task.objects.create, board=board)
        assert not backlog._backlog._waiting
        found = [r.message for r in caplog.records if r.levelno >= logging.ERROR]
        assert found == ["Rows could not be written."]
        # The next change of the row makes up for it.
        await in_shared_thread(lambda: Task.objects.get().save())
        await sync_to_async(assert_equal)([board])


@on_postgres
def test_synchronous_code_waits_for_the_document() -> None:
    async def create(board: Board) -> None:
        await sync_to_async(Task.objects.create)(board=board, title="one")

    with kept_in("postgres"):
        board = open_board()
        # Synchronous code that it calls runs in this thread.
        async_to_sync(create)(board)
        run(connections["postgres"], IMPATIENCE["postgresql"])
        with (
            locked_elsewhere(board, "postgres") as end,
            counting_failures("postgres", end) as failures,
        ):
            Task.objects.create(board=board, title="two")
            assert not backlog._backlog._waiting
        assert len(failures) == 1
        assert len(tasks(board)) == 2
        connections["postgres"].close()


SAVE = """
import asyncio, logging, sys
import django

django.setup()
logging.basicConfig(format="%(message)s %(room)s")

from channels.db import database_sync_to_async
from tests.rows.models import Task

asyncio.run(database_sync_to_async(Task.objects.create)(board_id=int(sys.argv[1])))
print("saved", flush=True)
"""


def saving(board: Board, close_timeout: float) -> subprocess.Popen[str]:
    """Return a process that has saved a row of a locked board, and ends now."""
    process = subprocess.Popen(
        [sys.executable, "-c", SAVE, str(board.pk)],
        env={
            **environment_of("postgres"),
            "COLLAB_TEST_SETTINGS": json.dumps({"CLOSE_TIMEOUT": close_timeout}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "saved\n"
    return process


@on_postgres
def test_process_ends_when_everything_is_written() -> None:
    with kept_in("postgres"):
        board = open_board()
        with locked_elsewhere(board, "postgres"):
            process = saving(board, close_timeout=DEADLINE)
            assert process.poll() is None
        process.communicate(timeout=DEADLINE)
        assert process.returncode == 0
        assert len(tasks(board)) == 1


@on_postgres
def test_process_ends_although_a_document_stays_locked_and_names_it() -> None:
    with kept_in("postgres"):
        board = open_board()
        with locked_elsewhere(board, "postgres"):
            process = saving(board, close_timeout=0.1)
            _, log = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0
        assert "before rows could be written" in log and name_of(board) in log
        assert len(tasks(board)) == 0
        reconcile(name_of(board))
        assert len(tasks(board)) == 1


def test_an_error_that_is_no_exception_leaves_a_thread_for_other_documents(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[str] = []
    is_added = Event()

    def write(room_name: str, keys: object) -> None:
        if room_name == "broken":
            assert is_added.wait(DEADLINE)
            # As pycrdt raises.
            raise BaseException("panic")
        written.append(room_name)

    monkeypatch.setattr(backlog, "_MAX_THREADS", 1)
    monkeypatch.setattr(backlog, "write", write)
    found = backlog.Backlog()
    found.add("broken", None)
    found.add("notes", None)
    is_added.set()
    found.finish(DEADLINE)
    assert written == ["notes"]
    assert [record.message for record in caplog.records] == ["Rows could not be written."]


def test_fork_waits_for_nothing_of_its_parent() -> None:
    found = backlog.Backlog()
    found._waiting["notes"] = []
    found.clear()
    assert found._waiting == {}


def test_documents_that_stay_locked_are_named_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = backlog.Backlog()
    found._waiting["notes"] = []
    found.finish(0)
    (record,) = caplog.records
    assert "before rows could be written" in record.message
    assert record.__dict__["room"] == "notes"
