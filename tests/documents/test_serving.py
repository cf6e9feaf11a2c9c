"""A consumer without a subclass serves every document type."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.urls import path
from pycrdt import Doc, Text

from collab import documents
from collab.access import Access
from collab.conf import get_storage
from collab.consumers import YjsConsumer
from collab.engine.hub.working_copies import new_entry
from collab.testing import ConnectionClosed, close_rooms, connect
from tests.harness.waiting import until
from tests.projects.documents import Versioned, calls


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


def new_text(text: str) -> bytes:
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, text)
    return doc.get_update()


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


# Versions.


async def test_a_document_is_upgraded_before_a_member_sees_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connect(application, "/ws/versioned/a", user=User(pk=5)) as ann:
        ann.doc.get("text", type=Text).insert(0, "new")
        await ann.wait_saved()
    assert calls == []
    monkeypatch.setattr(Versioned, "version", 2)
    for _ in range(2):
        async with connect(application, "/ws/versioned/a", user=User(pk=5)) as ann:
            assert text_of(ann.doc) == "v1>new"
        await close_rooms()
    assert calls == [("upgrade", "a", 1)]


async def test_documents_that_server_code_makes_are_of_the_present_version() -> None:
    async with documents.aedit("versioned/a") as doc:
        doc.get("text", type=Text).insert(0, "new")
    await documents.areplace("versioned/b", text="new", schema="plain", field="text")
    await documents.asend_doc_update("versioned/c", new_text("new"))
    # As it was stored while the type had no version.
    await get_storage().append([new_entry("versioned/d", new_text("old"), None)])
    texts = [text_of(await documents.aread(f"versioned/{key}")) for key in "abcd"]
    assert texts == ["new", "new", "new", "v0>old"]
    assert calls == [("upgrade", "d", 0)]


@pytest.mark.parametrize(("version", "access"), [(0, "read"), (1, "write"), (None, "write")])
async def test_a_client_of_an_older_version_may_only_read(version: int | None, access: str) -> None:
    async with connect(application, "/ws/versioned/a", user=User(pk=5)) as ann:
        ann.send(json.dumps({"action": "hello", "request_id": 2, "version": version}))
        await ann.wait_until(lambda: ann.messages[-1]["request_id"] == 2)
        assert ann.messages[-1]["data"]["version"] == 1
        assert ann.access == access
        (user,) = await documents.apresent("versioned/a")
        assert user.access.label == access
