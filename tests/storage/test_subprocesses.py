from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
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


def pass_through(gate: str) -> bool:
    """Return once the gate is open, and use no time until then."""
    with open(gate, "rb", buffering=0) as pipe:
        return bool(pipe.read(1))


class Gate:
    """A pipe with a name, at which one process waits."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        # For reading, too: neither side waits for the other to open it.
        self._pipe = os.open(path, os.O_RDWR)

    def open(self) -> None:
        os.write(self._pipe, b"x")

    def close(self) -> None:
        os.close(self._pipe)


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[list[Gate]]:
    found = [Gate(tmp_path / str(number)) for number in range(5)]
    yield found
    for gate in found:
        gate.close()


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


async def test_the_event_loop_goes_on(gates: list[Gate]) -> None:
    task = asyncio.ensure_future(run_in_process(pass_through, gates[0].path))
    await asyncio.sleep(0)
    gates[0].open()
    assert await task


async def test_work_that_may_wait_delays_no_other(gates: list[Gate]) -> None:
    patient = [asyncio.ensure_future(run_patiently(pass_through, gate.path)) for gate in gates]
    await asyncio.sleep(0)
    assert await run_in_process(whose, "notes") != ("notes", os.getpid())
    assert not any(task.done() for task in patient)
    for gate in gates:
        gate.open()
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
