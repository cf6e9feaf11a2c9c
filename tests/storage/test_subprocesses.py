from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
from collections.abc import Callable
from io import BytesIO
from subprocess import SubprocessError
from typing import Any

import pytest

from collab_storage.exceptions import DocumentCorrupt
from collab_storage.subprocesses import answer, run_in_process, run_patiently

logger = logging.getLogger("collab_storage.compaction")


def whose(name: str) -> tuple[str, int]:
    return name, os.getpid()


def complain(name: str) -> None:
    logger.error("Something is wrong with %s.", name, extra={"room": name})


def fail() -> None:
    raise DocumentCorrupt("It cannot be read.")


def crash() -> None:
    os.abort()


def wait_for(path: str) -> bool:
    """Return once somebody has put a file there."""
    while not os.path.exists(path):
        os.sched_yield()
    return True


def asked(function: Callable[..., Any], *args: object) -> tuple[Any, Any, list[logging.LogRecord]]:
    """Return the answer of a process that this one plays itself."""
    reply = BytesIO()
    answer(BytesIO(pickle.dumps((function, args))), reply)
    found: tuple[Any, Any, list[logging.LogRecord]] = pickle.loads(reply.getvalue())
    return found


async def test_it_is_called_in_another_process() -> None:
    name, process = await run_in_process(whose, "notes")
    assert name == "notes"
    assert process != os.getpid()


async def test_the_event_loop_goes_on(tmp_path: Any) -> None:
    task = asyncio.ensure_future(run_in_process(wait_for, str(tmp_path / "go")))
    await asyncio.sleep(0)
    (tmp_path / "go").touch()
    assert await task


async def test_work_that_may_wait_delays_no_other(tmp_path: Any) -> None:
    gates = [tmp_path / str(number) for number in range(5)]
    patient = [asyncio.ensure_future(run_patiently(wait_for, str(gate))) for gate in gates]
    await asyncio.sleep(0)
    assert await run_in_process(whose, "notes") != ("notes", os.getpid())
    assert not any(task.done() for task in patient)
    for gate in gates:
        gate.touch()
    assert all(await asyncio.gather(*patient))


def test_without_an_event_loop_the_caller_waits() -> None:
    running = run_in_process(whose, "a name")
    with pytest.raises(StopIteration) as ended:
        running.send(None)
    name, pid = ended.value.value
    assert name == "a name"
    assert pid != os.getpid()


async def test_errors_are_raised_here() -> None:
    with pytest.raises(DocumentCorrupt, match=r"It cannot be read\."):
        await run_in_process(fail)


async def test_records_logged_in_the_process_are_logged_here(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await run_in_process(complain, "notes")
    (record,) = caplog.records
    assert (record.name, record.room) == (logger.name, "notes")  # type: ignore[attr-defined]
    assert record.getMessage() == "Something is wrong with notes."


async def test_a_process_that_crashes_is_an_error() -> None:
    with pytest.raises(SubprocessError):
        await run_in_process(crash)


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false", "/bin/true"])
async def test_without_another_python_it_is_called_here(
    program: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    assert await run_in_process(whose, "notes") == ("notes", os.getpid())
    assert f"Subprocess could not be started with {program}" in caplog.text


def test_the_answer_holds_all_that_became_of_it() -> None:
    assert asked(whose, "notes")[:2] == (("notes", os.getpid()), None)
    result, error, records = asked(fail)
    assert (result, str(error), records) == (None, "It cannot be read.", [])
    assert [record.getMessage() for record in asked(complain, "x")[2]] == [
        "Something is wrong with x."
    ]
