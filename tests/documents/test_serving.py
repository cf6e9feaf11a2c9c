"""A consumer without a subclass serves every document type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.urls import path
from pycrdt import Doc, Text

from collab.access import Access
from collab.consumers import YjsConsumer
from collab.testing import ConnectionClosed, close_rooms, connect
from tests.harness.waiting import until
from tests.projects.documents import calls


class Strict(YjsConsumer):
    """Has a rule of its own, and asks the type for the rest."""

    async def authorize(self) -> Access:
        return min(await super().authorize(), Access.READ)


application = URLRouter(
    [
        path("ws/<path:room>", YjsConsumer.as_asgi()),
        path("strict/<path:room>", Strict.as_asgi()),
    ]
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def _close() -> AsyncIterator[None]:
    yield
    await close_rooms()
    calls.clear()


def text_of(doc: Doc[Any]) -> str:
    return str(doc.get("text", type=Text))


async def test_the_type_says_who_may_write_and_read() -> None:
    async with (
        connect(application, "/ws/recorded/5", user=User(pk=5)) as ann,
        connect(application, "/ws/recorded/5", user=AnonymousUser()) as guest,
    ):
        assert (ann.access, guest.access) == ("write", "read")


async def test_the_type_refuses_a_document_that_does_not_exist() -> None:
    with pytest.raises(ConnectionClosed) as refused:
        async with connect(application, "/ws/recorded/404", user=User(pk=404)):
            pass
    assert refused.value.code == 4404


async def test_the_type_seeds_a_new_document_once() -> None:
    for _ in range(2):
        async with connect(application, "/ws/recorded/101", user=User(pk=101)) as ann:
            await until(lambda: text_of(ann.doc) == "seed of 101")
        await close_rooms()


async def test_a_subclass_decides_and_may_ask_the_type() -> None:
    async with connect(application, "/strict/recorded/5", user=User(pk=5)) as ann:
        assert ann.access == "read"


async def test_the_type_learns_what_members_have_changed() -> None:
    async with connect(application, "/ws/recorded/5", user=User(pk=5)) as ann:
        ann.doc.get("text", type=Text).insert(0, "Hello")
        await ann.wait_saved()
        await until(lambda: calls[-1:] == [("changed", 5, "Hello", ["5"])])
        ann.doc.get("text", type=Text).insert(5, "!")
        await ann.wait_saved()
        await until(lambda: calls[-1] == ("changed", 5, "Hello!", ["5"]))
    assert [call[0] for call in calls].count("created") == 1
