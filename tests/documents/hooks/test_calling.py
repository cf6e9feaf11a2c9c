"""A method of a type that hangs holds up documents of its own type only."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.urls import path
from pycrdt import Doc, Text

from collab.access import Access
from collab.conf import get_storage
from collab.consumers import YjsConsumer
from collab.documents.document_type import DocumentType
from collab.documents.hooks import calling
from collab.documents.hooks import threads as module
from collab.documents.hooks.calling import call_hook
from collab.engine.hub.working_copies import new_entry
from collab.testing import close_rooms, connect
from tests.harness.waiting import DEADLINE, until
from tests.projects.documents import Recorded, Versioned, calls

pytestmark = pytest.mark.django_db(transaction=True)

application = URLRouter([path("ws/<path:room>", YjsConsumer.as_asgi())])


@pytest.fixture(autouse=True)
async def _close() -> AsyncIterator[None]:
    yield
    await close_rooms()
    calls.clear()


class Hanging:
    """A method that does not return before it may."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> None:
        self.began.set()
        assert self.may_end.wait(DEADLINE)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.may_end.set()


def method(name: str, hanging: Hanging) -> Callable[..., Any]:
    """Return a method of a type that hangs."""

    def hook(self: DocumentType, *args: Any, **parameters: Any) -> Access | None:
        hanging()
        return Access.WRITE if name == "authorize" else None

    return hook


async def store(name: str) -> None:
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, "stored")
    await get_storage().create(new_entry(name, doc.get_update(), None))


@pytest.mark.parametrize("hook", ["authorize", "seed", "load_legacy", "presence", "upgrade"])
async def test_documents_of_other_types_and_django_go_on(
    hook: str, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Versioned, hook, method(hook, hanging))
    if hook == "upgrade":
        await store("versioned/a")

    async def stay() -> None:
        async with connect(application, "/ws/versioned/a", user=User(pk=1)):
            pass

    waiting = asyncio.create_task(stay())
    await until(hanging.began.is_set)
    async with connect(application, "/ws/recorded/5", user=User(pk=5)) as other:
        assert other.access == "write"
        # The thread of all other code.
        assert await sync_to_async(lambda: "free")() == "free"
        assert not waiting.done()
    hanging.may_end.set()
    await waiting


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_method_that_does_not_return_in_time_is_named(
    is_async: bool,
    hanging: Hanging,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def never(self: Recorded, *args: Any, **parameters: Any) -> None:
        await asyncio.Future()

    hook = never if is_async else method("authorize", hanging)
    hook.__qualname__ = "Recorded.authorize"
    monkeypatch.setattr(Recorded, "authorize", hook)
    monkeypatch.setattr(calling, "_TIMEOUT", 0.1)
    with pytest.raises(TimeoutError):
        async with connect(application, "/ws/recorded/5", user=User(pk=5)):
            pass
    (message, *_) = [record.getMessage() for record in caplog.records]
    assert message == (
        "Recorded.authorize() has not returned within 0.1 s and counts as failed; other documents"
        " go on."
    )


async def test_a_methods_own_timeout_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise TimeoutError("of the project's service")

    with pytest.raises(TimeoutError, match="service"):
        await call_hook(fail)
    assert caplog.records == []


async def test_a_method_calls_async_code_of_the_event_loop() -> None:
    loop = asyncio.get_running_loop()

    async def running() -> bool:
        return asyncio.get_running_loop() is loop

    def method() -> bool:
        return async_to_sync(running)()

    assert await call_hook(method)


async def test_a_view_has_a_thread_of_its_own() -> None:
    async with ThreadSensitiveContext():
        own = await sync_to_async(threading.current_thread)()
        assert await call_hook(threading.current_thread) is own

        async def current() -> threading.Thread:
            return threading.current_thread()

        assert await call_hook(current) is threading.current_thread()


def test_below_synchronous_code_a_method_is_in_its_transaction() -> None:
    def is_atomic() -> bool:
        return connection.in_atomic_block

    async def in_task() -> Any:
        return await asyncio.create_task(call_hook(is_atomic))

    with transaction.atomic():
        assert async_to_sync(call_hook)(is_atomic)
        assert async_to_sync(in_task)()


def test_the_deadline_ends_before_those_of_callers() -> None:
    from collab.engine.hub.loader import LOAD_TIMEOUT
    from collab.engine.rules import PRESENCE_TIMEOUT
    from collab.engine.serving.access_check import ANSWER_TIMEOUT

    assert module._SLOW_AFTER < calling._TIMEOUT
    assert min(LOAD_TIMEOUT, PRESENCE_TIMEOUT, ANSWER_TIMEOUT) > calling._TIMEOUT
