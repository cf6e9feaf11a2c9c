"""Threads for rows: one that waits for a lock keeps no other document waiting."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from collab.mirror.watchers import worker as worker_module
from collab.mirror.watchers.worker import Worker
from tests.harness.waiting import until


async def test_work_that_waits_delays_no_other_work() -> None:
    worker, go_on = Worker(max_threads=2), threading.Event()
    worker.hold()
    stuck = asyncio.create_task(worker.run(go_on.wait))
    await until(lambda: worker._threads)
    names = {await worker.run(lambda: threading.current_thread().name) for _ in range(5)}
    assert len(names) == 1
    # With as many threads as there may be, work waits for the one that has the least.
    also_stuck = asyncio.create_task(worker.run(go_on.wait))
    await until(lambda: len(worker._threads) == 2 and worker._threads[1].waiting)
    third = asyncio.create_task(worker.run(threading.get_ident))
    await until(lambda: sum(thread.waiting for thread in worker._threads) == 3)
    go_on.set()
    await asyncio.gather(stuck, also_stuck, third)
    worker.let_go()
    await until(lambda: not worker._threads)


async def test_connections_of_threads_without_work_are_closed_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(
        worker_module._Thread, "close_connections", lambda self: closed.append("closed")
    )
    monkeypatch.setattr(worker_module, "_IDLE", 0.01)
    worker, go_on = Worker(max_threads=2), threading.Event()
    worker.hold()
    stuck = asyncio.create_task(worker.run(go_on.wait))
    await until(lambda: worker._threads)
    await worker.run(lambda: None)
    await until(lambda: closed)
    # Those of the thread that waits are in use.
    assert len(closed) == 1
    go_on.set()
    await stuck
    await until(lambda: len(closed) == 3)
    worker.let_go()


@pytest.mark.parametrize(("vendors", "threads"), [({"sqlite"}, 1), ({"postgresql"}, 4)])
def test_only_databases_with_several_writers_have_several_threads(
    vendors: set[str], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {vendor: SimpleNamespace(vendor=vendor) for vendor in vendors}
    monkeypatch.setattr(worker_module, "connections", found)
    assert Worker()._max_threads == threads
