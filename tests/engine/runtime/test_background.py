from __future__ import annotations

import asyncio
import logging

import pytest

from collab.engine.runtime.background import BackgroundTasks


async def test_tasks_have_names_and_are_waited_for() -> None:
    tasks = BackgroundTasks("collab-test", logging.getLogger("collab.test"))
    go_on, names = asyncio.Event(), list[str]()

    async def work() -> None:
        await go_on.wait()
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_name())

    tasks.start(work(), "work", "notes")
    tasks.start(work(), "more")
    assert len(tasks) == 2
    go_on.set()
    await tasks.finish()
    assert (names, len(tasks)) == (["collab-test-work", "collab-test-more"], 0)


async def test_a_failure_is_logged_with_its_room(caplog: pytest.LogCaptureFixture) -> None:
    tasks = BackgroundTasks("collab-test", logging.getLogger("collab.test"))

    async def fail() -> None:
        raise LookupError

    async def cancelled() -> None:
        raise asyncio.CancelledError

    tasks.start(fail(), "work", "notes")
    tasks.start(cancelled(), "other work")
    await tasks.finish()
    (record,) = caplog.records
    assert record.getMessage() == "Background work failed: work."
    assert record.__dict__["room"] == "notes"
