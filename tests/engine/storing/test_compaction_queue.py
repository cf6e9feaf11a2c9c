from __future__ import annotations

import asyncio

import pytest

from collab.engine.storing import compaction_queue
from collab.engine.storing.compaction_queue import CompactionQueue
from tests.harness.waiting import until


class Compactions:
    """A queue whose compactions last until they are released."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._released = asyncio.Semaphore(0)
        self.queue = CompactionQueue(asyncio.create_task, self._compact)

    async def _compact(self, name: str) -> None:
        self.begun.append(name)
        await self._released.acquire()

    def release(self) -> None:
        self._released.release()


@pytest.fixture
async def compactions() -> Compactions:
    return Compactions()


@pytest.fixture
def endless_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction_queue, "_PAUSES", 1e12)
    monkeypatch.setattr(compaction_queue, "_LONGEST_PAUSE", 1e6)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_document_at_a_time_is_compacted(compactions: Compactions) -> None:
    for name in ("a", "b", "a"):
        compactions.queue.add(name)
    await turns()
    assert compactions.begun == ["a"]
    compactions.release()
    await until(lambda: compactions.begun == ["a", "b"])
    compactions.release()
    await until(lambda: compactions.begun == ["a", "b", "a"])
    compactions.release()


@pytest.mark.usefixtures("endless_pauses")
async def test_a_pause_follows_each_compaction(compactions: Compactions) -> None:
    compactions.queue.add("a")
    compactions.queue.add("b")
    await turns()
    compactions.release()
    await turns()
    assert compactions.begun == ["a"]


@pytest.mark.usefixtures("endless_pauses")
async def test_a_document_that_comes_in_the_pause_waits(compactions: Compactions) -> None:
    compactions.queue.add("a")
    await turns()
    compactions.release()
    await turns()
    compactions.queue.add("b")
    await turns()
    assert compactions.begun == ["a"]


async def test_after_a_quiet_time_the_next_document_is_compacted_at_once(
    compactions: Compactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction_queue, "_LONGEST_PAUSE", 0.0)
    compactions.queue.add("a")
    await turns()
    compactions.release()
    await turns()
    compactions.queue.add("b")
    await until(lambda: compactions.begun == ["a", "b"])
    compactions.release()


@pytest.mark.usefixtures("endless_pauses")
async def test_documents_that_wait_can_be_dropped(compactions: Compactions) -> None:
    compactions.queue.add("a")
    compactions.queue.add("b")
    await turns()
    compactions.queue.clear()
    compactions.release()
    await turns()
    assert compactions.begun == ["a"]
    compactions.queue.clear()
    compactions.queue.add("c")
    await turns()
    assert compactions.begun == ["a", "c"]
    compactions.release()


async def test_the_next_document_is_compacted_when_one_cannot_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compaction_queue, "_LONGEST_PAUSE", 0.0)
    begun: list[str] = []

    async def compact(name: str) -> None:
        begun.append(name)
        raise asyncio.CancelledError

    queue = CompactionQueue(asyncio.create_task, compact)
    queue.add("a")
    queue.add("b")
    await until(lambda: begun == ["a", "b"])
