from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest
from asgiref.sync import sync_to_async

from collab.engine.storing.storage_context import StorageContext
from collab_storage.exceptions import StorageUnavailable
from collab_storage.memory import MemoryStorage

resources: ContextVar[int | None] = ContextVar("resources", default=None)


class Storage(MemoryStorage):
    """Sets resources apart, of which it counts those that are given back."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = self.left = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        # As a pool would, it takes a moment.
        await asyncio.sleep(0)
        self.entered += 1
        token = resources.set(self.entered)
        try:
            yield
        finally:
            # Only the task that has set a variable can reset it.
            resources.reset(token)
            self.left += 1


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def lane(storage: Storage) -> StorageContext:
    return StorageContext(storage)


async def which() -> int | None:
    return resources.get()


async def test_nothing_is_set_apart_before_there_is_work(
    lane: StorageContext, storage: Storage
) -> None:
    await lane.close()
    assert storage.entered == 0


async def test_work_may_call_functions_of_the_project_side_by_side(lane: StorageContext) -> None:
    def call() -> str:
        return "done"

    works = [lane.start(sync_to_async(call)()) for _ in range(3)]
    assert await asyncio.gather(*works) == ["done"] * 3


async def test_all_work_has_the_same_resources(lane: StorageContext, storage: Storage) -> None:
    assert await asyncio.gather(*(lane.start(which()) for _ in range(3))) == [1, 1, 1]
    assert await lane.start(which()) == 1
    assert await which() is None
    await lane.close()
    assert (storage.entered, storage.left) == (1, 1)


async def test_two_lanes_have_resources_of_their_own(storage: Storage) -> None:
    one, other = StorageContext(storage), StorageContext(storage)
    assert await one.start(which()) == 1
    assert await other.start(which()) == 2
    await one.close()
    assert storage.left == 1
    await other.close()


async def test_closing_waits_for_the_work(lane: StorageContext, storage: Storage) -> None:
    release = asyncio.Event()

    async def work() -> int | None:
        await release.wait()
        assert storage.left == 0
        return resources.get()

    working = lane.start(work())
    closing = asyncio.create_task(lane.close())
    await asyncio.sleep(0)
    # What starts meanwhile gets new resources and is not held up.
    assert await lane.start(which()) == 2
    assert not closing.done()
    release.set()
    await closing
    assert await working == 1
    assert storage.left == 1
    await lane.close()
    assert storage.left == 2


async def test_failing_work_fails_for_its_caller(lane: StorageContext) -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await lane.start(fail())
    assert await lane.start(which()) == 1
    await lane.close()


class Away(Storage):
    """Cannot set anything apart the first time."""

    refused = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        refuse, self.refused = not self.refused, True
        await asyncio.sleep(0)
        if refuse:
            raise StorageUnavailable
        async with super().serving():
            yield


async def test_work_fails_if_there_are_no_resources_and_the_next_is_another_attempt() -> None:
    storage = Away()
    lane = StorageContext(storage)
    working = [lane.start(which()) for _ in range(2)]
    results = await asyncio.gather(*working, return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailable] * 2
    assert await lane.start(which()) == 1
    await lane.close()
    assert storage.left == 1


async def test_a_lane_that_has_no_resources_can_be_closed() -> None:
    lane = StorageContext(Away())
    working = lane.start(which())
    closing = asyncio.create_task(lane.close())
    await asyncio.sleep(0)
    # It is another attempt, of which the failure of the first takes nothing away.
    again = lane.start(which())
    with pytest.raises(StorageUnavailable):
        await working
    await closing
    assert await again == 1
    assert await lane.start(which()) == 1
    await lane.close()


class Sticky(Storage):
    """Cannot give back what it has set apart."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        yield
        raise StorageUnavailable


async def test_an_error_of_releasing_resources_is_raised_by_close() -> None:
    lane = StorageContext(Sticky())
    assert await lane.start(which()) is None
    with pytest.raises(StorageUnavailable):
        await lane.close()


async def test_a_lane_can_be_used_again(lane: StorageContext, storage: Storage) -> None:
    assert await lane.start(which()) == 1
    await lane.close()
    await lane.close()
    assert await lane.start(which()) == 2
    await lane.close()
    assert (storage.entered, storage.left) == (2, 2)
