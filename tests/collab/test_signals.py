"""Signals of what happens in this process reach receivers, and harm nobody if they fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from channels.routing import URLRouter
from django.contrib.auth.models import User
from django.dispatch import Signal
from django.urls import path

from collab.access import Access
from collab.consumers import YjsConsumer
from collab.signals import document_closed, document_opened, member_joined, member_left
from collab.testing import close_rooms, connect
from tests.harness.waiting import until

pytestmark = pytest.mark.usefixtures("memory")

application = URLRouter([path("ws/<path:room>", YjsConsumer.as_asgi())])
NAMES = {
    document_opened: "opened",
    document_closed: "closed",
    member_joined: "joined",
    member_left: "left",
}


@pytest.fixture
def got() -> Iterator[list[tuple[Any, ...]]]:
    """Record what receivers of all signals get."""
    got: list[tuple[Any, ...]] = []

    def receive(signal: Signal, sender: object, name: str, **arguments: Any) -> None:
        assert sender is None
        got.append((NAMES[signal], name, *arguments.values()))

    for signal in NAMES:
        signal.connect(receive)
    yield got
    for signal in NAMES:
        signal.disconnect(receive)


async def test_documents_are_opened_and_closed_and_members_join_and_leave(
    got: list[tuple[Any, ...]],
) -> None:
    ann = User(pk=7)
    async with connect(application, "/ws/first", user=ann):
        await until(lambda: len(got) == 2)
        assert set(got) == {("opened", "first"), ("joined", "first", ann, Access.WRITE)}
    await close_rooms()
    await until(lambda: len(got) == 4)
    assert set(got[2:]) == {("left", "first", ann, Access.WRITE), ("closed", "first")}


async def test_a_receiver_that_fails_disturbs_no_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(**arguments: Any) -> None:
        raise ZeroDivisionError

    member_joined.connect(fail)
    try:
        async with connect(application, "/ws/first") as client:
            await until(lambda: "ZeroDivisionError" in caplog.text)
            assert client.access == "write"
    finally:
        member_joined.disconnect(fail)
