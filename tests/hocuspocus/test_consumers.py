"""Documents of a connection: opened, refused, changed, closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from pycrdt import Text

from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer
from collab.engine.connections import comment_checks
from collab.engine.hub.current import current_hub
from collab.engine.serving import access_check
from collab.exceptions import Forbidden, NoSuchDocument, TryAgainLater, Unauthenticated
from collab.hocuspocus import HocuspocusConsumer, HocuspocusMember, address, connection, credentials
from collab.testing import CollabClient
from tests.collab.test_consumers import serve
from tests.engine.watchers import MEMORY
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


class Held:
    """Holds up checks of comments, which then find nothing else."""

    def __init__(self) -> None:
        self.is_asked = False
        self.is_open = asyncio.Event()

    async def run(self, function: Any, *args: Any) -> Any:
        self.is_asked = True
        await self.is_open.wait()
        return function(*args)


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


async def test_written_text_is_there_for_the_next_connection() -> None:
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


# Tokens that end.


async def test_a_token_that_is_not_valid_any_more_is_asked_for_again(
    answers: dict[str, Any],
) -> None:
    async with client() as ann, client() as bob:
        mine, theirs = ann.document("room"), bob.document("room")
        mine.attach("old")
        theirs.attach()
        await ann.until(lambda: mine.statuses == [1])
        answers["old"] = Unauthenticated("The token has expired.")
        await recheck_routinely("old")
        await ann.until(lambda: mine.token_requests == 1)
        # It is not in the room until its token is good.
        theirs.write("meanwhile ")
        mine.write("offline ")
        await bob.until(lambda: theirs.statuses == [1, 1])
        assert mine.text == "offline "
        mine.send_token("new")
        await ann.until(lambda: "meanwhile" in mine.text and mine.statuses == [1, 1])
        await bob.until(lambda: theirs.text == mine.text)
        mine.write("after")
        await ann.until(lambda: mine.statuses == [1, 1, 1])
        assert mine.closes == []


async def test_a_client_without_a_better_token_is_closed(
    answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client() as ann:
        first, second = ann.document("first"), ann.document("second")
        first.attach("old")
        second.attach("old")
        await ann.until(lambda: first.synced and second.synced)
        answers["old"] = answers["other"] = Unauthenticated("The token has expired.")
        await recheck_routinely("old")
        await ann.until(lambda: first.token_requests and second.token_requests)
        first.send_token("other")
        await ann.until(lambda: first.closes == ["The token has expired."])
        monkeypatch.setattr(credentials, "_TOKEN_TIMEOUT", 0.001)
        third = ann.document("third")
        third.attach("fine")
        await ann.until(lambda: third.synced)
        answers["fine"] = Unauthenticated("The token has expired.")
        await recheck_routinely("fine")
        await ann.until(lambda: third.closes == ["The token is not valid any more."])


async def recheck_routinely(token: str) -> None:
    """Check the access of members with a token, as is done at intervals."""
    for room in list(current_hub().rooms.values()):
        for member in list(room.members):
            connection: Any = member.connection
            if connection._credentials.token == token:
                await connection.recheck_access(routine=True)


async def test_a_project_may_ask_for_the_token_or_close_the_document() -> None:
    async with client(Echo) as ann:
        document = ann.document("room")
        document.attach("ann")
        await ann.until(lambda: document.synced)
        (member,) = current_hub().rooms["room", True].members
        assert isinstance(member, HocuspocusMember)
        member.request_token()
        await ann.until(lambda: document.token_requests == 1)
        document.send_token("bob")
        await ann.until(lambda: document.statuses == [1])
        member.close_document("Lunch.")
        await ann.until(lambda: document.closes == ["Lunch."])


async def test_a_token_of_another_user_closes_the_document() -> None:
    async with client(Echo) as ann:
        document = ann.document("room")
        document.attach("ann")
        await ann.until(lambda: document.synced)
        document.send_token("somebody")
        reason = "The token is of another user: open the document again."
        await ann.until(lambda: document.closes == [reason])


async def test_logging_out_acts_on_documents_of_the_session_and_asks_tokens_again() -> None:
    async with client(Echo) as ann:
        document = ann.document("room")
        document.attach("ann")
        await ann.until(lambda: document.synced)
        (member,) = current_hub().rooms["room", True].members
        await member.connection.forget_user()
        assert member.user.username == "ann"
    async with client(HocuspocusConsumer, user=LETTER) as ann:
        document = ann.document("room")
        document.attach("")
        await ann.until(lambda: document.synced)
        (member,) = current_hub().rooms["room", True].members
        assert member.user_id == "1"
        await member.connection.forget_user()
        assert member.user.is_anonymous
        await until(lambda: member.user_id is None)


# What a client may not do.


@pytest.mark.parametrize("frame", ["text", b"", b"\x05ab", b"\xff" * 12, b"\x01\xff\x00"])
async def test_a_frame_without_an_address_ends_the_connection(frame: Any) -> None:
    async with client() as ann:
        ann.send(frame)
        assert await ann.closed() == 4401


@pytest.mark.parametrize(
    "message",
    [
        encoded(0, 7, b"\x00"),
        encoded(0, 2, b"\x05ab"),
        encoded(0, 2, b"\x03abc"),
        encoded(1, b"\x02xy"),
        encoded(2, 1, "no"),
        encoded(4),
        encoded(5, b"\xff\xff"),
        encoded(6, "to all"),
        encoded(b"\xff" * 12),
    ],
)
async def test_a_message_that_is_not_valid_closes_its_document_only(message: bytes) -> None:
    async with client() as ann:
        bad, good = ann.document("bad"), ann.document("good")
        bad.attach()
        good.attach()
        await ann.until(lambda: bad.statuses == [1] and good.synced)
        bad.send(message)
        await ann.until(lambda: bad.closes)
        bad.write("ignored")
        good.write("fine")
        await ann.until(lambda: good.statuses == [1, 1])
        assert bad.statuses == [1]


async def test_messages_of_unknown_types_are_ignored() -> None:
    async with client() as ann:
        document = ann.document("room")
        document.attach()
        document.send(encoded(99, "from the future"))
        document.write("hello")
        await ann.until(lambda: document.statuses == [1, 1])


async def test_a_client_pings_and_pongs() -> None:
    async with client() as ann:
        ann.send(b"\x0a")
        ann.send(b"\x09")
        await ann.until(lambda: ann.frames == [b"\x0a"])


async def test_too_many_frames_before_a_token_end_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "MAX_WAITING_FRAMES", 3)
    async with client() as ann:
        for _ in range(4):
            ann.document("room").write("x")
        assert await ann.closed() == 4205


async def test_too_many_bytes_before_a_token_end_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "MAX_WAITING_SIZE", 1000)
    async with client() as ann:
        ann.document("room").write("x" * 1000)
        assert await ann.closed() == 4205


async def test_too_many_documents_without_a_token_end_the_connection() -> None:
    async with client() as ann:
        for number in range(connection.MAX_PENDING_DOCUMENTS + 1):
            ann.document(f"room {number}").write("x")
        assert await ann.closed() == 4205


async def test_documents_are_limited_and_refused_ones_make_room(
    answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_DOCUMENTS", 2)
    answers["bad"] = Forbidden()
    async with client() as ann:
        for name in ("one", "two", "three"):
            refused = ann.document(name)
            refused.attach("bad")
            await ann.until(lambda refused=refused: refused.refusals)  # type: ignore[misc]
        for name in ("four", "five"):
            document = ann.document(name)
            document.attach()
            await ann.until(lambda document=document: document.synced)  # type: ignore[misc]
        ann.document("six").attach()
        assert await ann.closed() == 4205


async def test_sessions_of_a_document_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_SESSIONS", 2)
    async with client() as ann:
        opened = [ann.document(name) for name in ("room", "room\0one", "other\0one", "other\0two")]
        for document in opened:
            document.attach()
        await ann.until(lambda: all(document.synced for document in opened))
        ann.document("room\0two").attach()
        assert await ann.closed() == 4205


@pytest.mark.usefixtures("answers")
async def test_a_project_that_does_not_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access_check, "ANSWER_TIMEOUT", 0.01)
    monkeypatch.setattr(address, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(Answers, "gate", asyncio.Event())
    async with client() as ann:
        document = ann.document("room")
        document.attach("slow")
        await until(lambda: len(Answers.asked) > 1)
        monkeypatch.setattr(Answers, "gate", None)
        await ann.until(lambda: document.synced)


@override_settings(COLLAB={"STORAGE": MEMORY, "FIRST_FRAME_TIMEOUT": 0.05})
async def test_a_client_that_opens_no_document_in_time_is_disconnected() -> None:
    async with client() as ann:
        ann.document("room").write("no token")
        assert await ann.closed() == 4408


async def test_stateless_messages_that_wait_are_limited() -> None:
    async with client(Echo) as ann:
        document = ann.document("room")
        document.attach("ann")
        await ann.until(lambda: document.synced)
        document.send(encoded(STATELESS, "x" * (1024 * 1024 + 1)))
        await ann.until(lambda: "letters, more than" in "".join(document.closes))
        document.attach("ann")
        await ann.until(lambda: len(document.scopes) == 2)
        for payload in ("wait", "x" * 900_000, "x" * 200_000):
            document.send(encoded(STATELESS, payload))
        assert await ann.closed() == 1013


# A quiet client.


@pytest.mark.parametrize("version", ["4.8.0", None])
async def test_a_quiet_client_receives_something(
    monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setattr(connection, "_QUIET", 0.001)
    async with client() as ann:
        document = ann.document("room")
        document.attach(version=version)
        await ann.until(lambda: document.statuses == [1])
        expected = b"\x09" if version else encoded("room", 1, b"\x01\x00")
        await ann.until(lambda: ann.frames.count(expected) > 2)


async def test_nothing_is_sent_to_a_client_without_documents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quiet, looks = 0.001, []
    monkeypatch.setattr(connection, "_QUIET", quiet)
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def look(delay: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
        if delay == quiet:
            looks.append(args)
        return call_later(delay, *args, **options)

    monkeypatch.setattr(loop, "call_later", look)
    async with client() as ann:
        await until(lambda: len(looks) > 2)
        ann.send(b"\x09")
        await ann.until(lambda: ann.frames)
        assert ann.frames == [b"\x0a"]


# The server's end.


async def test_a_server_that_ends_closes_the_connection() -> None:
    async with client() as ann:
        documents_of_ann = [ann.document(name) for name in ("one", "two")]
        for document in documents_of_ann:
            document.attach()
        await ann.until(lambda: all(document.synced for document in documents_of_ann))
        await current_hub().drain()
        assert await ann.closed() == 1012
        assert [document.closes for document in documents_of_ann] == [[], []]


async def test_a_server_that_is_about_to_end_opens_no_document() -> None:
    async with client() as ann:
        await ann.until(lambda: True)
        ann.send(b"\x09")
        await ann.until(lambda: ann.frames)
        current_hub().is_draining = True
        ann.document("room").attach()
        assert await ann.closed() == 1012


async def test_a_server_that_cannot_answer_is_asked_again(
    answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(address, "_FIRST_PAUSE", 0.001)
    answers["x"] = LookupError("The database is away.")
    async with client() as ann:
        document = ann.document("room")
        document.attach("x")
        await until(lambda: len(Answers.asked) > 1)
        answers["x"] = TryAgainLater("Full.")
        count = len(Answers.asked)
        await until(lambda: len(Answers.asked) > count + 1)
        del answers["x"]
        await ann.until(lambda: document.synced)
        answers["x"] = LookupError("The database is away again.")
        await recheck_routinely("x")
        assert ann.close_code is None
        await documents.arecheck_access("room")
        assert await ann.closed() == 1013
    assert "A document cannot be opened." in caplog.text


async def test_access_that_changes_while_a_document_opens_is_checked_again(
    answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    monkeypatch.setattr(Answers, "gate", gate)
    async with client() as ann:
        document = ann.document("room")
        document.attach("x")
        await until(lambda: Answers.asked)
        await documents.arecheck_access("room")
        answers["x"] = Access.READ
        gate.set()
        await ann.until(lambda: document.scope == "readonly")
        await until(lambda: len(Answers.asked) == 2)


async def test_tokens_are_checked_at_a_limited_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_DOCUMENTS", 3)
    monkeypatch.setattr(connection, "_AUTHENTICATION_RATE", 50.0)
    async with client() as ann:
        document = ann.document("room")
        document.attach()
        await ann.until(lambda: document.synced)
        for number in range(100):
            document.send_token(f"token {number}")
        document.write("x")
        await ann.until(lambda: document.statuses == [1, 1])
        await until(lambda: Answers.asked[-1] == ("room", "token 99"))
        assert len(Answers.asked) < 10


@pytest.mark.parametrize("scope", [{}, {"user": LETTER}])
async def test_a_project_may_refuse_the_connection(scope: dict[str, Any]) -> None:
    class Closed(HocuspocusConsumer):
        async def authorize(self) -> Access:
            return Access.NONE

    async with client(Closed, **scope) as ann:
        assert await ann.closed() in (4401, 4403)


async def test_a_project_may_see_each_frame() -> None:
    frames = []

    class Seeing(Answers):
        async def receive(
            self, text_data: str | None = None, bytes_data: bytes | None = None
        ) -> None:
            frames.append(text_data or bytes_data)
            await super().receive(text_data, bytes_data)

    async with client(Seeing) as ann:
        document = ann.document("room")
        document.attach()
        await ann.until(lambda: document.synced)
        ann.send("text")
        assert await ann.closed() == 4401
    assert frames[-1] == "text"


async def test_a_project_may_close_the_connection_in_connect() -> None:
    class Closing(HocuspocusConsumer):
        async def connect(self) -> None:
            await self.close(4000, "Lunch")

    async with client(Closing) as ann:
        assert await ann.closed() == 4000


async def test_more_documents_than_may_be_without_a_token_can_be_open() -> None:
    async with client() as ann:
        opened = [ann.document(str(number)) for number in range(102)]
        for document in opened:
            document.attach()
        await ann.until(lambda: all(document.synced for document in opened))


@override_settings(COLLAB={"STORAGE": MEMORY, "MAX_MEMBER_BACKLOG": 2000})
async def test_a_client_that_does_not_read_what_may_not_be_left_out_is_disconnected() -> None:
    async with client() as ann:
        document = ann.document("room")
        document.attach()
        await ann.until(lambda: document.synced)
        (member,) = current_hub().rooms["room", True].members
        assert isinstance(member, HocuspocusMember)
        ann.pause()
        for _ in range(4):
            member.send_stateless("x" * 1000)
        await until(lambda: not current_hub().rooms["room", True].members)
        # A check that was due meanwhile finds nobody.
        await member.connection.recheck_access()


async def test_server_code_sends_messages_and_closes_documents() -> None:
    async with client() as ann, client() as bob:
        mine, theirs = ann.document("room"), bob.document("room")
        mine.attach()
        theirs.attach()
        await ann.until(lambda: mine.synced)
        await bob.until(lambda: theirs.synced)
        await documents.asend_stateless("room", "refetch")
        await ann.until(lambda: mine.stateless == ["refetch"])
        await bob.until(lambda: theirs.stateless == ["refetch"])
        await documents.aclose_members("room", "New rights.")
        await ann.until(lambda: mine.closes == ["New rights."])
        # The client may open it again at once.
        mine.detach()
        mine.attach()
        await ann.until(lambda: len(mine.scopes) == 2)


# Comments.


async def test_a_commenter_changes_the_formats_of_comments_only(answers: dict[str, Any]) -> None:
    answers["commenter"] = Access.COMMENT
    async with client() as ann, client() as bob:
        writer, commenter = ann.document("room"), bob.document("room")
        writer.attach()
        writer.write("hello world")
        await ann.until(lambda: writer.statuses == [1, 1])
        commenter.attach("commenter")
        await bob.until(lambda: commenter.text == "hello world" and commenter.statuses == [1])
        assert commenter.scope == "readonly"
        text = commenter.doc.get("text", type=Text)
        text.format(0, 5, {"comment": {"thread": 1}})
        await bob.until(lambda: commenter.statuses == [1, 1])
        theirs = writer.doc.get("text", type=Text)
        await ann.until(lambda: theirs.diff()[0] == ("hello", {"comment": {"thread": 1}}))
        text.format(0, 5, {"bold": True})
        await bob.until(lambda: commenter.statuses == [1, 1, 0])
        text.insert(0, "!")
        await bob.until(lambda: commenter.statuses == [1, 1, 0, 0])
        assert writer.text == "hello world"


async def test_a_refused_change_of_a_commenter_is_never_reported_as_stored(
    answers: dict[str, Any],
) -> None:
    answers["commenter"] = Access.COMMENT
    async with documents.aedit("room") as doc:
        doc.get("text", type=Text).insert(0, "hello world")
    async with client() as ann:
        document = ann.document("room")
        document.attach("commenter")
        await ann.until(lambda: document.text == "hello world" and document.statuses == [1])
        text = document.doc.get("text", type=Text)
        # Deletions have no clock, so what comes behind them does not lack them.
        del text[10:11]
        del text[9:10]
        await ann.until(lambda: document.statuses == [1, 0, 0])
        text.format(0, 5, {"comment": 1})
        await ann.until(lambda: document.statuses == [1, 0, 0, 1])
        del text[8:9]
        text.format(0, 5, {"comment": 2})
        await ann.until(lambda: document.statuses == [1, 0, 0, 1, 0, 1])
        # A question that the client has not asked for: its answer has the deletions.
        answers["commenter"] = Access.WRITE
        await documents.arecheck_access("room")
        await ann.until(lambda: document.scope == "read-write")
        text.insert(0, "!")
        await ann.until(lambda: document.statuses == [1, 0, 0, 1, 0, 1, 1, 1, 1, 1])
        await ann.until(lambda: document.statuses.count(1) == len(document.statuses) - 3)
    assert text_of(await documents.aread("room")) == "!hello wo"


async def test_a_comment_in_a_large_document_is_reported_as_stored_once_it_is(
    answers: dict[str, Any],
) -> None:
    answers["commenter"] = Access.COMMENT
    async with documents.aedit("room") as doc:
        doc.get("text", type=Text).insert(0, "hello " * 5_000)
    async with client() as ann:
        document = ann.document("room")
        document.attach("commenter")
        await ann.until(lambda: document.text and document.statuses == [1])
        document.doc.get("text", type=Text).format(0, 5, {"comment": 1})
        await ann.until(lambda: document.statuses == [1, 1])
        stored = (await documents.aread("room")).get("text", type=Text)
        assert stored.diff()[0] == ("hello", {"comment": 1})
        # Whoever has lost access while a comment is checked writes nothing.
        document.doc.get("text", type=Text).format(0, 5, {"comment": 2})
        answers["commenter"] = Access.READ
        await ann.until(lambda: document.statuses == [1, 1, 0])
    assert (await documents.aread("room")).get("text", type=Text).diff()[0][1] == {"comment": 1}


async def test_a_comment_that_waits_while_its_document_is_deleted_is_answered_by_a_close(
    answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(comment_checks, "_processes", held)
    answers["commenter"] = Access.COMMENT
    for name in ("room", "other"):
        async with documents.aedit(name) as doc:
            doc.get("text", type=Text).insert(0, "hello " * 5_000)
    async with client() as ann:
        document, other = ann.document("room"), ann.document("other")
        for each in (document, other):
            each.attach("commenter")
        await ann.until(lambda: document.statuses == [1] and other.statuses == [1])
        document.doc.get("text", type=Text).format(0, 5, {"comment": 1})
        await until(lambda: held.is_asked)
        await documents.adelete("room")
        await ann.until(lambda: document.closes == ["The document has been deleted."])
        held.is_open.set()
        # The other document and the connection stay, and nothing was reported as stored.
        other.doc.get("text", type=Text).format(0, 5, {"comment": 1})
        await ann.until(lambda: other.statuses == [1, 1])
        assert document.statuses == [1]
        assert ann.close_code is None
    assert not await documents.aexists("room")


async def test_the_answer_of_a_new_commenter_is_refused_if_it_is_more_than_comments(
    answers: dict[str, Any],
) -> None:
    answers["x"] = Access.READ
    async with documents.aedit("room") as doc:
        doc.get("text", type=Text).insert(0, "hello")
    async with client() as ann:
        document = ann.document("room")
        document.attach("x")
        await ann.until(lambda: document.text == "hello" and document.statuses == [1])
        document.write("!")
        await ann.until(lambda: document.statuses == [1, 0])
        answers["x"] = Access.COMMENT
        await documents.arecheck_access("room")
        await ann.until(lambda: document.statuses == [1, 0, 0])
    assert text_of(await documents.aread("room")) == "hello"


async def test_a_commenter_of_y_websocket_receives_one_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Commenting(YjsConsumer):
        async def authorize(self) -> Access:
            return Access.COMMENT

    async with documents.aedit("room") as doc:
        doc.get("text", type=Text).insert(0, "hello")
    ann = CollabClient(serve(Commenting), "/ws/room")
    await ann.connect()
    assert ann.access == "comment"
    text = ann.doc.get("text", type=Text)
    text.format(0, 5, {"comment": True})
    text.format(0, 5, {"bold": True})
    text.insert(0, "!")
    await ann.wait_until(lambda: ann.errors)
    await ann.disconnect()
    stored = (await documents.aread("room")).get("text", type=Text)
    assert stored.diff() == [("hello", {"comment": True})]
    assert len(ann.errors) == 1


# Opening, and what comes meanwhile.


async def test_garbage_among_frames_that_wait_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = asyncio.Event()
    monkeypatch.setattr(Answers, "gate", gate)
    async with client() as ann:
        document = ann.document("room")
        document.attach()
        document.write("hello")
        document.detach()
        document.send(encoded(2, 1, "no token"))
        await until(lambda: Answers.asked)
        gate.set()
        assert await ann.closed() == 4401
    assert text_of(await documents.aread("room")) == "hello"


async def test_a_document_that_cannot_be_loaded_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(address, "_FIRST_PAUSE", 0.001)
    attempts = []

    async def seed(name: str, doc: Any) -> None:
        attempts.append(name)
        if len(attempts) < 3:
            raise LookupError("away")

    monkeypatch.setattr("collab.hocuspocus.address.policy.seed", seed)
    async with client() as ann:
        document = ann.document("room")
        document.attach()
        await ann.until(lambda: document.statuses == [1])
    assert len(attempts) == 3


async def test_access_that_changes_for_the_user_of_a_token_that_is_being_read_is_checked_again(
    answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    monkeypatch.setattr(Answers, "gate", gate)
    answers["x"] = Access.WRITE, LETTER
    async with client() as ann:
        document = ann.document("room")
        document.attach("x")
        await until(lambda: Answers.asked)
        await documents.arecheck_access("room", LETTER)
        gate.set()
        await until(lambda: len(Answers.asked) == 2)


async def test_a_client_that_cannot_be_reached_is_disconnected_with_all_its_documents() -> None:
    async with client() as ann:
        one, two = ann.document("one"), ann.document("two")
        for document in (one, two):
            document.attach()
        await ann.until(lambda: one.synced and two.synced)
        (member,) = current_hub().rooms["one", True].members
        member.connection.evict()
        await until(lambda: not any(room.members for room in current_hub().rooms.values()))
