"""Documents of a connection: opened, refused, changed, closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from pycrdt import Text

from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.exceptions import Forbidden, NoSuchDocument, Unauthenticated
from collab.hocuspocus import HocuspocusConsumer
from collab.testing import CollabClient
from tests.collab.test_consumers import serve
from tests.harness.waiting import until

from .client import QUERY, REPLY, STATELESS, Client, encoded, text_of
from .projects import Answers, Echo

pytestmark = pytest.mark.usefixtures("memory")

LETTER = User(pk=1, username="a")


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    given: dict[str, Any] = {}
    monkeypatch.setattr(Answers, "answers", given)
    monkeypatch.setattr(Answers, "asked", [])
    monkeypatch.setattr(Answers, "gate", None)
    monkeypatch.setattr(Echo, "received", [])
    return given


def client(consumer: Any = Answers, **scope: Any) -> Client:
    return Client(consumer.as_asgi(), **scope)


# Opening.


async def test_documents_of_one_connection_are_edited_with_others() -> None:
    async with client() as ann, client() as bob:
        mine, theirs = (
            [ann.document(name) for name in ("one", "two")],
            [bob.document(name) for name in ("one", "two")],
        )
        for document in (*mine, *theirs):
            document.attach()
        for number, document in enumerate(mine):
            document.write(f"text {number}")
        await bob.until(lambda: [each.text for each in theirs] == ["text 0", "text 1"])


async def test_clients_of_both_protocols_edit_one_document() -> None:
    bob = CollabClient(serve(YjsConsumer), "/ws/room")
    async with client() as connection:
        ann = connection.document("room")
        ann.attach()
        await bob.connect()
        ann.write("from ann, ")
        await bob.wait_until(lambda: text_of(bob.doc) == "from ann, ")
        bob.doc.get("text", type=Text).insert(10, "from bob")
        await ann.until(lambda: ann.text == "from ann, from bob")
        bob.set_presence({"name": "bob"})
        await ann.until(lambda: ann.presence.get(bob.doc.client_id) == {"name": "bob"})
        ann.set_presence({"name": "ann"})
        await bob.wait_until(lambda: bob.presence.get(ann.doc.client_id) == {"name": "ann"})
        await bob.disconnect()
        await ann.until(lambda: bob.doc.client_id not in ann.presence)


async def test_what_was_written_is_there_for_the_next_connection() -> None:
    async with client() as ann:
        document = ann.document("room")
        document.attach()
        document.write("hello")
        await ann.until(lambda: document.statuses == [1, 1])
    async with client() as bob:
        document = bob.document("room")
        document.attach()
        await bob.until(lambda: document.text == "hello")
    assert text_of(await documents.aread("room")) == "hello"


async def test_frames_before_the_token_wait_for_it() -> None:
    async with client() as ann:
        document = ann.document("room")
        document.write("early")
        document.attach()
        await ann.until(lambda: document.synced and 1 in document.statuses)
    assert text_of(await documents.aread("room")) == "early"


async def test_sessions_of_one_document_are_members_of_their_own() -> None:
    async with client() as ann:
        first, second = ann.document("room\0first"), ann.document("room\0second")
        first.attach()
        second.attach()
        first.write("hello")
        await ann.until(lambda: second.text == "hello")
        first.set_presence({"name": "first"})
        await ann.until(lambda: second.presence.get(first.doc.client_id))
        first.detach()
        await ann.until(lambda: first.doc.client_id not in second.presence)


# Rights.


async def test_a_refused_document_leaves_the_connection_and_its_other_documents_open(
    answers: dict[str, Any],
) -> None:
    answers["bad"] = Forbidden("Not for you.")
    answers["none"] = Access.NONE
    async with client() as ann:
        good, bad, none = ann.document("good"), ann.document("bad"), ann.document("none")
        good.attach()
        bad.attach("bad")
        none.attach("none")
        await ann.until(lambda: good.synced and bad.refusals and none.refusals)
        assert (bad.refusals, none.refusals) == (["Not for you."], ["permission-denied"])
        good.write("still here")
        await ann.until(lambda: good.statuses == [1, 1])
        assert not (bad.synced or none.synced or bad.scopes or none.scopes)


async def test_a_refused_client_may_try_again(answers: dict[str, Any]) -> None:
    answers["bad"] = Unauthenticated("Log in.")
    async with client() as ann:
        document = ann.document("room")
        document.attach("bad")
        await ann.until(lambda: document.refusals == ["Log in."])
        document.write("ignored until then")
        document.attach("good")
        await ann.until(lambda: document.statuses == [1])
    assert text_of(await documents.aread("room")) == "ignored until then"


@pytest.mark.parametrize("name", ["", "x" * 256])
async def test_a_name_that_no_document_can_have_is_refused(name: str) -> None:
    async with client() as ann:
        document = ann.document(name)
        document.attach()
        await ann.until(lambda: document.refusals == ["permission-denied"])


async def test_a_reader_reads_and_what_it_writes_is_not_reported_as_stored(
    answers: dict[str, Any],
) -> None:
    answers["reader"] = Access.READ
    async with client() as ann, client() as bob:
        reader, writer = ann.document("room"), bob.document("room")
        writer.attach()
        reader.attach("reader")
        await ann.until(lambda: reader.scope == "readonly" and reader.statuses == [1])
        writer.write("hello")
        await ann.until(lambda: reader.text == "hello")
        reader.write(" world")
        await ann.until(lambda: reader.statuses == [1, 0])
        assert writer.scope == "read-write"
        # A reader that has more than the document is not in sync.
        reader.attach("reader")
        reader.detach()
        reader.attach("reader")
        await ann.until(lambda: reader.statuses[-1] == 0)
    assert text_of(await documents.aread("room")) == "hello"


async def test_access_that_changes_is_sent_and_missed_changes_are_asked_for(
    answers: dict[str, Any],
) -> None:
    answers["token"] = Access.READ
    async with client() as ann:
        document = ann.document("room")
        document.attach("token")
        await ann.until(lambda: document.statuses == [1])
        document.write("one ")
        document.write("two")
        await ann.until(lambda: document.statuses == [1, 0, 0])
        answers["token"] = Access.WRITE
        await documents.arecheck_access("room")
        await ann.until(lambda: document.statuses == [1, 0, 0, 1, 1])
        assert document.scopes == ["readonly", "read-write"]
        assert text_of(await documents.aread("room")) == "one two"
        answers["token"] = Access.READ
        await documents.arecheck_access("room")
        await ann.until(lambda: document.scopes[2:] == ["readonly"])
        document.write("!")
        await ann.until(lambda: document.statuses[5:] == [0])
        answers["token"] = NoSuchDocument()
        await documents.arecheck_access("room")
        await ann.until(lambda: document.closes == ["Unauthorized"])
        # The connection stays, and the client may open it again.
        del answers["token"]
        document.attach("token")
        await ann.until(lambda: document.scopes[3:] == ["read-write"])


async def test_a_token_that_is_sent_again_is_checked(answers: dict[str, Any]) -> None:
    answers["bad"] = Unauthenticated("The token has expired.")
    async with client() as ann:
        document = ann.document("room")
        document.attach("first")
        await ann.until(lambda: document.synced)
        document.send_token("second")
        document.write("x")
        await ann.until(lambda: document.statuses == [1, 1])
        assert Answers.asked == [("room", "first"), ("room", "second")]
        document.send_token("bad")
        await ann.until(lambda: document.closes == ["The token has expired."])


async def test_the_type_of_a_document_decides_for_the_user_of_the_session() -> None:
    async with client(HocuspocusConsumer, user=LETTER) as ann:
        document = ann.document("room")
        document.attach("")
        await ann.until(lambda: document.scope == "read-write")


# Messages that are no part of a document.


async def test_stateless_messages_reach_the_project_in_their_order() -> None:
    async with client(Echo) as ann:
        document = ann.document("room")
        document.attach("ann")
        await ann.until(lambda: document.synced)
        for payload in ("one", "two"):
            document.send(encoded(STATELESS, payload))
        await ann.until(lambda: document.stateless == ["one", "two"])
        assert Echo.received == [("room", "ann", Access.WRITE, text) for text in ("one", "two")]


@pytest.mark.parametrize(
    ("payload", "reason"), [("forbidden", "Not that."), ("broken", "Reset Connection")]
)
async def test_a_stateless_message_that_the_project_refuses_closes_the_document(
    payload: str, reason: str
) -> None:
    async with client(Echo) as ann:
        document = ann.document("room")
        document.attach("ann")
        document.send(encoded(STATELESS, payload))
        document.send(encoded(STATELESS, "after"))
        await ann.until(lambda: document.closes == [reason])
        assert len(Echo.received) == 1


# Presence.


async def test_presence_is_sent_to_newcomers_and_when_they_ask() -> None:
    async with client() as ann, client() as bob:
        mine, theirs = ann.document("room"), bob.document("room")
        mine.attach()
        mine.set_presence({"name": "ann"})
        await ann.until(lambda: mine.synced and len(ann.frames) > 4)
        theirs.attach()
        await bob.until(lambda: mine.doc.client_id in theirs.presence)
        count = len(bob.frames)
        theirs.send(encoded(QUERY))
        await bob.until(lambda: len(bob.frames) > count)


async def test_a_sync_reply_is_answered_without_a_question() -> None:
    async with client() as ann:
        document = ann.document("room")
        document.send_token("x")
        await ann.until(lambda: document.scopes)
        count = len(ann.frames)
        document.send(encoded(REPLY, 0, b"\x01\x00"))
        await ann.until(lambda: document.synced)
        assert len(ann.frames) == count + 1


# Closing.


async def test_a_document_that_the_client_closes_can_be_opened_again() -> None:
    async with client() as ann:
        document = ann.document("room")
        document.detach()
        document.attach()
        document.write("one")
        document.detach()
        document.attach()
        await ann.until(lambda: document.closes == ["provider_initiated"] and document.synced)
        document.detach()
        await ann.until(lambda: len(document.closes) == 2)
    assert text_of(await documents.aread("room")) == "one"


async def test_a_client_that_leaves_while_a_document_opens_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Answers, "gate", asyncio.Event())
    async with client() as ann:
        ann.document("room").attach()
        await until(lambda: Answers.asked)
    assert current_hub().rooms == {}
