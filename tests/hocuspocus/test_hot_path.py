"""Work that is not done per message or per member, counted (I9), for clients of Hocuspocus."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import pytest
from django.test import override_settings

from tests.engine.fakes import HinderedStorage
from tests.harness.waiting import until

from .client import Client, encoded
from .projects import Answers

pytestmark = pytest.mark.usefixtures("memory")

UPDATES = 20
HINDERED = {"BACKEND": "tests.engine.fakes.HinderedStorage"}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts tasks, and calls in other threads."""
    counts: Counter[str] = Counter()
    submit = ThreadPoolExecutor.submit

    def count_hop(self: Any, *args: Any, **kwargs: Any) -> Any:
        counts["hops"] += 1
        return submit(self, *args, **kwargs)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", count_hop)
    return counts


@pytest.mark.parametrize("members", [1, 10, 100])
@override_settings(COLLAB={"STORAGE": HINDERED, "SLEEP_DELAY": 1000})
async def test_an_update_makes_no_task_and_one_frame_for_all_members(
    members: int, counted: Counter[str]
) -> None:
    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        counted["tasks"] += 1
        return asyncio.Task(work, loop=loop, **options)

    async with AsyncExitStack() as stack:
        writing = await stack.enter_async_context(Client(Answers.as_asgi()))
        writer = writing.document("room")
        writer.attach()
        await writing.until(lambda: writer.synced)
        readers = []
        for _ in range(members):
            client = await stack.enter_async_context(Client(Answers.as_asgi()))
            readers.append(client.document("room"))
            readers[-1].attach()
            await client.until(lambda: readers[-1].synced)
        # The storage is busy with the first.
        storage = HinderedStorage.latest
        gate = storage.hold("append")
        writer.write("first ")
        await readers[-1].until(lambda: readers[-1].text == "first ")
        await until(lambda: storage.calls["append"] > 0)
        asyncio.get_running_loop().set_task_factory(make)
        counted.clear()
        for number in range(UPDATES):
            writer.write(f"{number} ")
            end = f"{number} "
            await readers[-1].until(lambda: readers[-1].text.endswith(end))  # noqa: B023
        asyncio.get_running_loop().set_task_factory(None)
        gate.set()
        assert counted == {}
        is_update = encoded("room", 0, 2)
        frames = [
            [frame for frame in reader.client.frames if frame.startswith(is_update)]
            for reader in readers
        ]
        for same in zip(*frames, strict=True):
            assert all(frame is same[0] for frame in same)
