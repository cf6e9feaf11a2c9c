"""The contract under concurrency, cancellation and in several event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from collab_storage.base import Storage, StoredDocument

from .material import appended, entry, parallel, rows

__all__ = ["ConcurrencyContract"]

# Stands in for a merge of updates: the numbers that are in any of them.


def _numbers(stored: StoredDocument | None) -> set[int]:
    updates = [] if stored is None else stored.updates
    return {int(number) for update in updates for number in update.split(b",") if number}


def _merged(stored: StoredDocument) -> bytes:
    return b",".join(b"%d" % number for number in sorted(_numbers(stored)))


@pytest.mark.asyncio
class ConcurrencyContract:
    async def test_simultaneous_appends_to_a_new_document(self, storage: Storage) -> None:
        data = [b"%d" % number for number in range(16)]
        await parallel(storage, *(storage.append([entry(data=item)]) for item in data))
        assert rows(await storage.load("doc")) == sorted(data)

    async def test_simultaneous_batches_with_the_same_documents(self, storage: Storage) -> None:
        names = [f"doc{number}" for number in range(8)]

        async def append(order: list[str]) -> None:
            for _ in range(4):
                await storage.append([entry(name) for name in order])

        await parallel(storage, append(names), append(names[::-1]), append(names[4:] + names[:4]))
        for name in names:
            assert len(rows(await storage.load(name))) == 12

    async def test_of_simultaneous_creates_one_wins(self, storage: Storage) -> None:
        for attempt in range(5):
            name = f"doc{attempt}"
            creates = [storage.create(entry(name, b"%d" % n)) for n in range(8)]
            won = [bool(created) for created in await parallel(storage, *creates)]
            assert won.count(True) == 1
            assert rows(await storage.load(name)) == [b"%d" % won.index(True)]

    async def test_create_during_appends(self, storage: Storage) -> None:
        for attempt in range(5):
            name = f"doc{attempt}"

            async def append(name: str = name) -> None:
                await storage.append([entry(name, b"append")])

            creates = [storage.create(entry(name, b"seed")) for _ in range(3)]
            won = await parallel(storage, append(), *creates, append())
            count = sum(map(bool, won))
            assert rows(await storage.load(name)) == [b"append"] * 2 + [b"seed"] * count
            assert count <= 1

    async def test_of_simultaneous_replaces_one_wins(self, storage: Storage) -> None:
        stored = await appended(storage, b"one")
        replaces = [storage.replace("doc", stored, b"%d" % n) for n in range(6)]
        won = await parallel(storage, *replaces)
        assert won.count(True) == 1
        replaced = await storage.load("doc")
        assert replaced is not None and replaced.updates == [b"%d" % won.index(True)]

    async def test_load_misses_nothing_while_others_append_and_replace(
        self, storage: Storage
    ) -> None:
        stored_numbers: set[int] = set()
        finished = asyncio.Event()

        async def append() -> None:
            for number in range(60):
                await storage.append([entry(data=b"%d" % number)])
                stored_numbers.add(number)
            finished.set()

        async def replace() -> None:
            while not finished.is_set():
                stored = await storage.load("doc")
                if stored is not None:
                    await storage.replace("doc", stored, _merged(stored))
                await asyncio.sleep(0)

        async def load() -> None:
            while not finished.is_set():
                expected = set(stored_numbers)
                assert expected <= _numbers(await storage.load("doc"))
                await asyncio.sleep(0)

        await parallel(storage, append(), replace(), replace(), load(), load())
        assert _numbers(await storage.load("doc")) == set(range(60))

    async def test_append_during_delete_leaves_all_of_the_batch_or_nothing(
        self, storage: Storage
    ) -> None:
        for _ in range(10):
            await appended(storage, b"before")
            batch = [entry(data=b"one"), entry(data=b"two")]

            async def delete() -> None:
                assert await storage.delete("doc")

            await parallel(storage, storage.append(batch), delete(), storage.append(batch))
            stored = await storage.load("doc")
            left = [] if stored is None else rows(stored)
            assert left in ([], sorted([b"one", b"two"]), sorted([b"one", b"two"] * 2))
            await storage.delete("doc")

    async def test_append_during_rename_is_under_one_of_the_names(self, storage: Storage) -> None:
        for _ in range(10):
            await appended(storage, b"before", name="old")
            appends = [storage.append([entry("old", b"%d" % number)]) for number in range(3)]
            await parallel(storage, *appends, storage.rename("old", "new"))
            both = [await storage.load(name) for name in ("old", "new")]
            found = sorted(data for stored in both if stored for data in rows(stored))
            assert found == [b"0", b"1", b"2", b"before"]
            for name in ("old", "new"):
                await storage.delete(name)

    async def test_a_cancelled_append_is_whole_or_absent(self, storage: Storage) -> None:
        async with storage.serving():
            for number in range(30):
                name = f"doc{number}"
                batch = [entry(name, b"one"), entry(name, b"two"), entry(f"{name} too")]
                task = asyncio.ensure_future(storage.append(batch))
                for _ in range(number % 10):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                # A verb that comes later comes after it.
                await appended(storage, b"after", name="other")
                if await storage.exists(name):
                    assert rows(await storage.load(name)) == [b"one", b"two"]
                assert await storage.exists(name) == await storage.exists(f"{name} too")
        assert len(rows(await storage.load("other"))) == 30

    async def test_serving_may_be_nested_and_left(self, storage: Storage) -> None:
        async with storage.serving():
            await appended(storage, b"one")
            async with storage.serving():
                await appended(storage, b"two")
            await appended(storage, b"three")
        assert len(rows(await appended(storage, b"four"))) == 4

    async def test_tasks_started_inside_serving_may_outlive_it(self, storage: Storage) -> None:
        left = asyncio.Event()

        async def outlive() -> None:
            await storage.append([entry(data=b"inside")])
            await left.wait()
            await storage.append([entry(data=b"outside")])

        async with storage.serving():
            task = asyncio.ensure_future(outlive())
            await appended(storage, b"one")
        left.set()
        await task
        assert rows(await storage.load("doc")) == [b"inside", b"one", b"outside"]

    async def test_verbs_of_one_task_group_inside_serving(self, storage: Storage) -> None:
        async with storage.serving():
            await asyncio.gather(*(appended(storage, b"%d" % number) for number in range(10)))
        assert len(rows(await storage.load("doc"))) == 10

    async def test_several_event_loops_at_once(self, storage: Storage) -> None:
        def work(number: int) -> Callable[[], None]:
            async def append() -> None:
                async with storage.serving():
                    await appended(storage, b"%d" % number)
                await appended(storage, b"%d" % number)
                await storage.close()

            return lambda: asyncio.run(append())

        threads = [asyncio.to_thread(work(number)) for number in range(4)]
        await asyncio.gather(*threads)
        assert len(rows(await storage.load("doc"))) == 8

    async def test_a_loop_inside_a_serving_task_in_another_thread(self, storage: Storage) -> None:
        # The context, and so the variables of serving(), goes along into the thread.
        async with storage.serving():
            await appended(storage, b"one")
            names: list[str] = []

            def work() -> None:
                names.append(threading.current_thread().name)
                asyncio.run(storage.append([entry(data=b"two")]))

            await asyncio.to_thread(work)
        assert names != [threading.current_thread().name]
        assert rows(await storage.load("doc")) == [b"one", b"two"]
