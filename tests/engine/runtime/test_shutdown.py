"""The first SIGTERM drains; the server gets it after that."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from collab.engine.runtime.shutdown import drain_on_sigterm, run_at_exit
from tests.harness.waiting import until


@pytest.fixture
def server() -> Iterator[list[str]]:
    """A server that notes what happens in the order in which it does."""
    happened: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: happened.append("server"))
    yield happened
    signal.signal(signal.SIGTERM, before)


async def test_the_server_gets_the_signal_after_draining(server: list[str]) -> None:
    async def drain() -> None:
        await asyncio.sleep(0)
        server.append("drained")

    drain_on_sigterm(drain)
    signal.raise_signal(signal.SIGTERM)
    await until(lambda: "server" in server)
    assert server == ["drained", "server"]


async def test_the_second_signal_is_not_held_up(server: list[str]) -> None:
    draining = asyncio.Event()

    async def drain() -> None:
        await draining.wait()
        server.append("drained")

    drain_on_sigterm(drain)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert server == ["server"]
    draining.set()
    await until(lambda: len(server) == 3)


def test_a_loop_that_has_ended_is_not_waited_for(server: list[str]) -> None:
    async def drain() -> None:
        raise AssertionError("nothing to drain")

    async def serve() -> None:
        drain_on_sigterm(drain)

    asyncio.run(serve())
    signal.raise_signal(signal.SIGTERM)
    assert server == ["server"]


def test_threads_leave_signals_alone(server: list[str]) -> None:
    async def drain() -> None:
        raise AssertionError("not asked")

    async def serve() -> None:
        drain_on_sigterm(drain)

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


def at_exit(path: Path, cancelled: bool) -> None:
    cancel = run_at_exit(path.touch)
    if cancelled:
        cancel()


@pytest.mark.parametrize("cancelled", [False, True])
def test_work_is_done_when_a_process_of_multiprocessing_ends(
    tmp_path: Path, cancelled: bool
) -> None:
    path = tmp_path / "done"
    process = get_context("spawn").Process(target=at_exit, args=(path, cancelled))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert path.exists() is not cancelled
