"""Hostile clients: tokens of others, floods, races, and addresses with odd names."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

import pytest
from django.core import signing
from pycrdt import Text

from collab import documents
from collab.access import Access
from collab.engine.hub.current import current_hub
from collab.exceptions import Forbidden, Unauthenticated
from collab.hocuspocus import HocuspocusConsumer, HocuspocusMember
from tests.harness.waiting import until

from .client import STATELESS, Client, Document, encoded, text_of

pytestmark = pytest.mark.usefixtures("memory")


class Signed(HocuspocusConsumer):
    """Accepts tokens that are signed for one document and one user, until they expire."""

    revoked: ClassVar[set[str]]

    async def authenticate(self, name: str, token: str) -> Access:
        try:
            document, user, expires = signing.loads(token, salt="tests")
        except signing.BadSignature:
            raise Unauthenticated("The token is not valid.") from None
        if expires < time.time():
            raise Unauthenticated("The token has expired.")
        if document != name or user in self.revoked:
            raise Forbidden("The token is not for you.")
        return Access.WRITE


def token_for(name: str, user: str = "ann", seconds: float = 3600) -> str:
    return signing.dumps((name, user, time.time() + seconds), salt="tests")


class Waiting(HocuspocusConsumer):
    """Handles a stateless message when a test has it."""

    gate: ClassVar[asyncio.Event]
    asked: ClassVar[int]
    access: ClassVar[Access | Exception]

    async def authenticate(self, name: str, token: str) -> Access:
        Waiting.asked += 1
        await self.gate.wait()
        if isinstance(self.access, Exception):
            raise self.access
        return self.access

    async def receive_stateless(self, member: HocuspocusMember, payload: str) -> None:
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def fresh() -> None:
    Signed.revoked = set()
    Waiting.gate, Waiting.asked, Waiting.access = asyncio.Event(), 0, Access.WRITE
    Waiting.gate.set()


def client(consumer: Any = Waiting) -> Client:
    return Client(consumer.as_asgi())


async def opened(connection: Client, address: str, token: str = "") -> Document:
    """Return a document that is open and has nothing unsaved."""
    document = connection.document(address)
    document.attach(token)
    await connection.until(lambda: 1 in document.statuses)
    return document


def members(name: str = "room") -> int:
    room = current_hub().rooms.get((name, True))
    return 0 if room is None else len(room.members)


# Tokens.


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "The token is not valid."),
        ("x" * 100_000, "The token is not valid."),
        ("room:ann:9999999999", "The token is not valid."),
        (lambda: token_for("room")[:-1], "The token is not valid."),
        (lambda: token_for("room", seconds=-1), "The token has expired."),
        (lambda: token_for("other"), "The token is not for you."),
        (lambda: token_for("room\0session"), "The token is not for you."),
        (lambda: token_for("roo"), "The token is not for you."),
        (lambda: token_for("room", "eve"), "The token is not for you."),
    ],
)
async def test_a_token_that_is_not_for_the_document_opens_nothing(token: Any, reason: str) -> None:
    Signed.revoked.add("eve")
    async with documents.aedit("room") as doc:
        doc.get("text", type=Text).insert(0, "secret")
    async with client(Signed) as eve:
        document = eve.document("room")
        document.attach(token() if callable(token) else token)
        document.write("forged")
        await eve.until(lambda: document.refusals)
        assert document.refusals == [reason]
        assert not [frame for frame in eve.frames if b"secret" in frame]
        # The connection is as good as before.
        await opened(eve, "other", token_for("other"))
    assert text_of(await documents.aread("room")) == "secret"


@pytest.mark.parametrize("seconds", [3600, -1])
async def test_a_token_of_another_document_in_place_of_a_good_one_closes_the_document(
    seconds: float,
) -> None:
    async with client(Signed) as eve:
        room = await opened(eve, "room", token_for("room"))
        other = await opened(eve, "other", token_for("other"))
        room.send_token(token_for("other", seconds=seconds))
        await eve.until(lambda: room.closes)
        room.write("too late")
        other.write("still here")
        await eve.until(lambda: len(other.statuses) == 2)
    assert text_of(await documents.aread("other")) == "still here"
    assert not await documents.aexists("room") or text_of(await documents.aread("room")) == ""


async def test_a_token_is_replayed_in_vain_once_its_user_has_lost_access() -> None:
    token = token_for("room", "eve")
    async with client(Signed) as first, client(Signed) as second:
        mine = await opened(first, "room", token)
        Signed.revoked.add("eve")
        await documents.arecheck_access("room")
        await first.until(lambda: mine.closes)
        for connection in (first, second):
            for address in ("room", "room\0again"):
                document = connection.document(address)
                document.attach(token)
                await connection.until(lambda document=document: document.refusals)  # type: ignore[misc]
        assert members() == 0


# Floods.


@pytest.mark.parametrize(("size", "count"), [(1, 20_000), (1_000_000, 20)])
async def test_a_flood_of_stateless_messages_harms_its_sender_only(size: int, count: int) -> None:
    async with client() as ann, client() as eve:
        honest, hostile = await opened(ann, "room"), await opened(eve, "room")
        payload = "x" * size
        for _ in range(count):
            hostile.send(encoded(STATELESS, payload))
        honest.write("hello")
        await ann.until(lambda: honest.statuses == [1, 1])
        assert await eve.closed() in (1013, 4205)
        await until(lambda: members() == 1)
        honest.write(" again")
        await ann.until(lambda: honest.statuses == [1, 1, 1])
    assert text_of(await documents.aread("room")) == "hello again"


async def test_a_stateless_message_that_is_too_large_closes_its_document_alone() -> None:
    async with client() as eve:
        hostile, other = await opened(eve, "room"), await opened(eve, "other")
        hostile.send(encoded(STATELESS, "x" * 2_000_000))
        await eve.until(lambda: hostile.closes)
        other.write("still here")
        await eve.until(lambda: len(other.statuses) == 2)


# Races.


async def test_documents_that_are_closed_while_clients_open_them_are_open_or_closed() -> None:
    Waiting.gate.clear()
    async with client() as ann, client() as bob:
        joining = [ann.document(f"room\0{number}") for number in range(10)]
        for document in joining:
            document.attach()
        await until(lambda: Waiting.asked)
        Waiting.gate.set()
        while not all(document.scopes for document in joining):
            await documents.aclose_members("room", "Out.")
            await asyncio.sleep(0)
        await ann.until(lambda: all(each.synced or each.closes for each in joining))
        await documents.aclose_members("room", "Out.")
        await ann.until(lambda: all(document.closes for document in joining))
        await until(lambda: members() == 0)
        # All of them can be opened anew, and work.
        for document in joining:
            document.attach()
        await ann.until(lambda: all(len(document.scopes) == 2 for document in joining))
        document = await opened(bob, "room")
        document.write("hello")
        await ann.until(lambda: all(each.text == "hello" for each in joining))
        assert members() == 11


async def test_a_token_that_is_refreshed_while_the_document_is_closed_opens_nothing() -> None:
    async with client() as ann:
        document = await opened(ann, "room")
        for turn in range(20):
            Waiting.gate.clear()
            asked = Waiting.asked
            document.send_token("again")
            await until(lambda asked=asked: Waiting.asked > asked)  # type: ignore[misc]
            await documents.aclose_members("room", f"Out {turn}.")
            Waiting.gate.set()
            await ann.until(lambda turn=turn: len(document.closes) == turn + 1)  # type: ignore[misc]
            await until(lambda: members() == 0)
            document.attach()
            await ann.until(lambda turn=turn: len(document.scopes) == turn + 2)  # type: ignore[misc]
        assert members() == 1
        assert document.closes == [f"Out {turn}." for turn in range(20)]


async def test_a_user_who_loses_access_while_opening_and_refreshing_is_out() -> None:
    Waiting.gate.clear()
    async with client() as eve:
        document = eve.document("room")
        document.attach()
        await until(lambda: Waiting.asked)
        Waiting.access = Forbidden("Out.")
        await documents.arecheck_access("room")
        await documents.aclose_members("room", "Out.")
        Waiting.gate.set()
        await eve.until(lambda: document.refusals or document.closes)
        document.send_token("again")
        await eve.until(lambda: len(document.refusals) + len(document.closes) == 2)
        assert members() == 0


async def test_a_client_that_opens_and_closes_while_it_is_authenticated_has_one_member() -> None:
    Waiting.gate.clear()
    async with client() as eve:
        document = eve.document("room")
        for _ in range(200):
            document.attach()
            document.detach()
        document.attach()
        await until(lambda: Waiting.asked)
        Waiting.gate.set()
        await eve.until(lambda: document.synced and document.statuses)
        await until(lambda: members() == 1)
        document.write("hello")
        await eve.until(lambda: document.text == "hello" and document.statuses[-1] == 1)
        document.detach()
        await until(lambda: members() == 0)


# Addresses.


@pytest.mark.parametrize("address", ["room\0", "room\0a\0b", "room\0\0", "room\0" + "s" * 1000])
async def test_a_session_with_an_odd_name_is_one_of_its_document(address: str) -> None:
    async with client() as ann, client() as bob:
        odd, plain = await opened(ann, address), await opened(bob, "room")
        odd.write("hello")
        await bob.until(lambda: plain.text == "hello")
        plain.write(" to you")
        await ann.until(lambda: odd.text == "hello to you")
        assert members() == 2


@pytest.mark.parametrize("address", ["", "\0", "\0room", "\0room\0room"])
async def test_an_address_without_a_name_is_refused(address: str) -> None:
    async with client() as eve:
        document = eve.document(address)
        document.attach()
        await eve.until(lambda: document.refusals)
        await opened(eve, "room")


@pytest.mark.parametrize("size", [2 * 1024 + 1, 64 * 1024])
async def test_an_address_that_is_too_long_ends_the_connection(size: int) -> None:
    async with client() as eve:
        eve.document("x" * size).attach()
        assert await eve.closed() == 4401


async def test_documents_whose_addresses_begin_alike_stay_apart() -> None:
    addresses = ["room", "room\0", "room\0s", "room\0ss", "roo", "room2", "room2\0s", "rooms\0"]
    async with client() as ann:
        opened_ones = {address: await opened(ann, address) for address in addresses}
        for address, document in opened_ones.items():
            document.set_presence({"name": address})
        for address in ("roo", "room\0s", "room2", "rooms\0"):
            opened_ones[address].write(f"<{address.partition(chr(0))[0]}>")
        for address, document in opened_ones.items():
            expected = f"<{address.partition(chr(0))[0]}>"
            await ann.until(lambda d=document, e=expected: d.text == e)  # type: ignore[misc]
        others = {"room", "room\0", "room\0s", "room\0ss"}
        for address in others:
            document = opened_ones[address]
            await ann.until(lambda d=document: len(d.presence) == 4)  # type: ignore[misc]
            assert {state["name"] for state in document.presence.values()} == others
        # One of them ends; the others do not.
        opened_ones["room\0s"].detach()
        await ann.until(lambda: opened_ones["room\0s"].closes)
        opened_ones["room"].write("!")
        await ann.until(lambda: opened_ones["room\0ss"].text == "<room>!")
        assert opened_ones["room\0s"].text == "<room>"
