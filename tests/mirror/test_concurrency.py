"""When all is quiet the documents are as the rows, whoever has changed them meanwhile (I10)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from django.db import connections

from collab.mirror import reconcile
from tests.harness.waiting import DEADLINE
from tests.rows.mirrors import TaskMirror, room_name
from tests.rows.models import Board, Task

from .boards import assert_equal, name_of, open_board
from .changes import change_at_random
from .databases import kept_in, on_both, together

THREADS, PROCESSES = 4, 3


@pytest.fixture(autouse=True)
def everything(using: str) -> Iterator[None]:
    with kept_in(using):
        yield


@on_both
def test_threads_leave_documents_as_the_rows(using: str) -> None:
    boards = [open_board() for _ in range(3)]
    keys = [board.pk for board in boards]
    together(*(lambda seed=seed: change_at_random(seed, 25, keys) for seed in range(THREADS)))
    assert Task.objects.exists()
    assert_equal(boards)


@on_both
def test_documents_opened_while_rows_are_saved_are_as_the_rows(using: str) -> None:
    boards = [Board.objects.create(name="b") for _ in range(4)]
    keys = [board.pk for board in boards]

    def open_all() -> None:
        for key in keys * 3:
            reconcile(room_name(key))

    together(open_all, open_all, *(lambda s=s: change_at_random(s, 20, keys) for s in range(2)))
    assert_equal(boards)


@pytest.mark.parametrize("using", ["postgres"])
@pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
def test_row_that_moves_after_it_was_read_and_before_it_is_written_is_taken_out(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = open_board(), open_board()
    values, moved = TaskMirror.values, Event()

    def move_meanwhile(self: TaskMirror, rows: Any, name: str) -> Any:
        found = values(self, rows, name)
        if name == name_of(one) and not moved.is_set():
            moved.set()
            together(lambda: Task.objects.update(board=two))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(TaskMirror, "values", move_meanwhile)
        Task.objects.create(board=one)
    assert_equal([one, two])
    assert Task.objects.get().board == two


@on_both
def test_processes_leave_documents_as_the_rows(using: str) -> None:
    boards = [open_board() for _ in range(3)]
    keys = [str(board.pk) for board in boards]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.mirror.changes", str(seed), "25", *keys],
            env=environment_of(using),
            stdout=subprocess.PIPE,
        )
        for seed in range(PROCESSES)
    ]
    change_at_random(99, 25, [board.pk for board in boards])
    failed = [process.communicate(timeout=DEADLINE)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes), failed
    assert Task.objects.exists()
    assert_equal(boards)


def environment_of(using: str) -> dict[str, str]:
    """Return the environment of a process that works in the database that the tests run in."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "COLLAB_TEST_DATABASE": _url(using),
        "COLLAB_TEST_SETTINGS": json.dumps({}),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


def _url(using: str) -> str:
    """Return the URL of the database that the tests run in."""
    settings = connections[using].settings_dict
    if using == "default":
        return f"sqlite://{settings['NAME']}"
    return f"postgresql:///{settings['NAME']}?user={settings['USER']}&host={settings['HOST']}"
