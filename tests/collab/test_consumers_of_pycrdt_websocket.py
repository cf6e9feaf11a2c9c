"""The same consumer of a project on the base class of pycrdt-websocket and on ours.

Each test says what a project that changes the import keeps, or what becomes different; the
differences are those that docs/migrating.md lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.contrib.auth.models import AnonymousUser, User
from django.test import override_settings
from pycrdt import (
    Awareness,
    Doc,
    Text,
    TransactionEvent,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    handle_sync_message,
)
from pycrdt.websocket.django_channels_consumer import YjsConsumer as Theirs

from collab.consumers import YjsConsumer as Ours
from collab.testing import close_rooms
from tests.harness.communicator import Communicator
from tests.harness.waiting import DEADLINE

LAYER = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
MEMORY = {"BACKEND": "collab_storage.memory.MemoryStorage"}
SYNC, STEP1, STEP2, UPDATE = 0, 0, 1, 2

# Channels looks at the database connections of its thread, where other tests may have left some.
pytestmark = [pytest.mark.usefixtures("_settings"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
async def _settings() -> AsyncIterator[None]:
    with override_settings(CHANNEL_LAYERS=LAYER, COLLAB={"STORAGE": MEMORY}):
        yield
        await close_rooms()


def documented(base: type[Any]) -> type[Any]:
    """Return the consumer that the documentation of pycrdt-websocket shows, with a log."""

    class DocConsumer(base):  # type: ignore[misc]  # Either of two.
        events: list[TransactionEvent] = []  # noqa: RUF012 - of the class, for the test
        docs: list[Doc[Any]] = []  # noqa: RUF012
        frames: list[bytes] = []  # noqa: RUF012

        def make_room_name(self) -> str:
            name: str = self.scope["url_route"]["kwargs"]["room"]
            return f"notes-{name}"

        async def make_ydoc(self) -> Doc[Any]:
            doc: Doc[Any] = Doc()
            doc.observe(self.events.append)
            self.docs.append(doc)
            return doc

        async def connect(self) -> None:
            user = self.scope["user"]
            if user is None or user.is_anonymous:
                await self.close()
                return
            await super().connect()

        async def receive(
            self, text_data: str | None = None, bytes_data: bytes | None = None
        ) -> None:
            if bytes_data is not None:
                self.frames.append(bytes_data)
            await super().receive(text_data=text_data, bytes_data=bytes_data)

        async def doc_update(self, update_wrapper: dict[str, bytes]) -> None:
            update = update_wrapper["update"]
            self.ydoc.apply_update(update)
            await self.group_send_message(create_update_message(update))

    return DocConsumer


class Client:
    """A client whose Doc takes all frames in."""

    def __init__(self, communicator: Communicator) -> None:
        self.doc: Doc[Any] = Doc()
        self.presence = Awareness(self.doc)
        self.presence.set_local_state(None)
        #: Frames that are not of the sync protocol.
        self.others: list[bytes] = []
        #: Frames of the sync protocol by their kind.
        self.synced: Counter[int] = Counter()
        self.communicator = communicator

    @property
    def text(self) -> str:
        return str(self.doc.get("text", type=Text))

    async def type(self, text: str) -> bytes:
        """Insert at the end and send the update, which is returned."""
        before = self.doc.get_state()
        root = self.doc.get("text", type=Text)
        root.insert(len(root), text)
        update = self.doc.get_update(before)
        await self.send(create_update_message(update))
        return update

    async def send(self, frame: bytes) -> None:
        await self.communicator.send_to(bytes_data=frame)

    async def receive_until(self, condition: Callable[[], object]) -> None:
        """Receive frames until the condition holds."""
        while not condition():
            await self._receive()

    async def receive_rest(self) -> None:
        """Receive what has come."""
        while not await self.communicator.receive_nothing(0.05):
            await self._receive()

    async def _receive(self) -> None:
        frame = await self.communicator.receive_from(DEADLINE)
        if frame[0] == SYNC:
            self.synced[frame[1]] += 1
            if (reply := handle_sync_message(frame[1:], self.doc)) is not None:
                await self.send(reply)
        else:
            self.others.append(frame)


@asynccontextmanager
async def member(consumer: type[Any], room: str = "1") -> AsyncIterator[Client]:
    """A client that has joined and asked for the document."""
    communicator = visitor(consumer, User(pk=1, username="ann"), room)
    assert (await communicator.connect())[0]
    client = Client(communicator)
    await client.send(create_sync_message(client.doc))
    await client.receive_until(lambda: client.synced[STEP2])
    await client.receive_rest()
    yield client
    await communicator.disconnect()


def visitor(consumer: type[Any], user: object, room: str = "1") -> Communicator:
    communicator = Communicator(consumer.as_asgi(), f"/ws/{room}")
    communicator.scope |= {"user": user, "url_route": {"kwargs": {"room": room}}}
    return communicator


def has_text(client: Client, text: str) -> bool:
    return client.text == text


def has_frame(client: Client, frame: bytes) -> bool:
    return client.others == [frame]


both = pytest.mark.parametrize("base", [Theirs, Ours], ids=["theirs", "ours"])


# What a project keeps.


@both
async def test_members_of_the_documented_consumer_edit_together(base: type[Any]) -> None:
    consumer = documented(base)
    async with member(consumer) as ann, member(consumer) as bob:
        await ann.type("Hello")
        await bob.receive_until(lambda: bob.text == "Hello")
        await bob.type(", Ann")
        await ann.receive_until(lambda: ann.text == "Hello, Ann")


@both
async def test_a_newcomer_is_given_the_document(base: type[Any]) -> None:
    consumer = documented(base)
    async with member(consumer) as ann:
        await ann.type("Hello")
        asked = ann.synced[STEP1]
        async with member(consumer) as bob:
            # There it is the other clients that answer.
            await ann.receive_until(lambda: ann.synced[STEP1] > asked or base is Ours)
            await bob.receive_until(lambda: bob.text == "Hello")


@both
async def test_the_anonymous_are_refused_by_the_documented_connect(base: type[Any]) -> None:
    consumer = documented(base)
    connected, code = await visitor(consumer, AnonymousUser()).connect()
    assert not connected
    assert code in {1000, 4401, 4403}
    assert consumer.frames == []


@both
async def test_rooms_of_different_names_are_apart(base: type[Any]) -> None:
    consumer = documented(base)
    async with member(consumer, "1") as ann, member(consumer, "2") as bob:
        await ann.type("Hello")
        await ann.receive_rest()
        await bob.receive_rest()
        assert bob.text == ""


@both
async def test_an_update_sent_as_the_event_doc_update_reaches_all_members(
    base: type[Any],
) -> None:
    consumer = documented(base)
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, "from a task")
    event = {"type": "doc_update", "update": doc.get_update()}
    async with member(consumer) as ann, member(consumer) as bob:
        await get_channel_layer().group_send("notes-1", event)
        for client in (ann, bob):
            await client.receive_until(partial(has_text, client, "from a task"))
    assert consumer.events


@both
async def test_presence_reaches_the_others(base: type[Any]) -> None:
    consumer = documented(base)
    async with member(consumer) as ann, member(consumer) as bob:
        ann.presence.set_local_state({"name": "Ann"})
        state = ann.presence.encode_awareness_update([ann.doc.client_id])
        await ann.send(create_awareness_message(state))
        await bob.receive_until(lambda: bob.others)
        assert create_awareness_message(state) in bob.others


@both
async def test_a_frame_to_one_client_and_to_the_group_arrives(base: type[Any]) -> None:
    consumer = documented(base)
    async with member(consumer) as ann, member(consumer) as bob:
        event = {"type": "send_message", "message": b"\x64hello"}
        await get_channel_layer().group_send("notes-1", event)
        for client in (ann, bob):
            await client.receive_until(partial(has_frame, client, b"\x64hello"))


@both
async def test_an_override_of_receive_sees_each_frame(base: type[Any]) -> None:
    consumer = documented(base)
    async with member(consumer) as ann, member(consumer) as bob:
        update = await ann.type("Hello")
        await bob.receive_until(lambda: bob.text == "Hello")
    assert create_update_message(update) in consumer.frames


# What becomes different.


@pytest.mark.parametrize(("base", "docs"), [(Theirs, 3), (Ours, 1)], ids=["theirs", "ours"])
async def test_members_have_a_doc_each_there_and_share_one_here(base: type[Any], docs: int) -> None:
    consumer = documented(base)
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(member(consumer))
        assert len(consumer.docs) == docs


@pytest.mark.parametrize(("base", "echoes"), [(Theirs, 1), (Ours, 0)], ids=["theirs", "ours"])
async def test_an_update_returns_to_its_sender_there_and_not_here(
    base: type[Any], echoes: int
) -> None:
    async with member(documented(base)) as ann:
        before = ann.synced[UPDATE]
        await ann.type("Hello")
        await ann.receive_until(lambda: ann.synced[UPDATE] >= before + echoes)
        await ann.receive_rest()
        assert ann.synced[UPDATE] == before + echoes


@pytest.mark.parametrize(("base", "kept"), [(Theirs, ""), (Ours, "Hello")], ids=["theirs", "ours"])
async def test_a_document_ends_with_its_last_member_there_and_is_stored_here(
    base: type[Any], kept: str
) -> None:
    consumer = documented(base)
    async with member(consumer) as ann:
        await ann.type("Hello")
        await ann.receive_rest()
    if base is Ours:
        await close_rooms()
    async with member(consumer) as later:
        assert later.text == kept


@pytest.mark.parametrize(("base", "steps"), [(Theirs, 2), (Ours, 0)], ids=["theirs", "ours"])
async def test_a_newcomers_first_frames_go_to_every_member_there_and_to_the_server_here(
    base: type[Any], steps: int
) -> None:
    consumer = documented(base)
    async with member(consumer) as ann:
        before = ann.synced[STEP1]
        async with member(consumer):
            await ann.receive_until(lambda: ann.synced[STEP1] >= before + steps)
            await ann.receive_rest()
        assert ann.synced[STEP1] == before + steps


@pytest.mark.parametrize(("base", "got"), [(Theirs, ""), (Ours, "Hello")], ids=["theirs", "ours"])
async def test_a_newcomer_depends_on_the_other_clients_there_and_on_none_here(
    base: type[Any], got: str
) -> None:
    consumer = documented(base)
    async with member(consumer) as ann:
        await ann.type("Hello")
        async with member(consumer) as bob:
            await bob.receive_rest()
            assert bob.text == got


async def test_a_broken_frame_reaches_every_member_there() -> None:
    consumer = documented(Theirs)
    async with member(consumer) as ann, member(consumer) as bob:
        await bob.send(b"\x63broken")
        await ann.receive_until(lambda: ann.others)
        assert ann.others == [b"\x63broken"]


async def test_a_broken_frame_ends_the_connection_of_its_sender_here() -> None:
    consumer = documented(Ours)
    async with member(consumer) as ann:
        communicator = visitor(consumer, User(pk=2, username="eve"))
        await communicator.connect()
        await communicator.send_to(bytes_data=b"\x63broken")
        messages = [await communicator.receive_output()]
        while messages[-1]["type"] != "websocket.close":
            messages.append(await communicator.receive_output())
        assert messages[-1]["code"] == 1008
        await communicator.disconnect()
        await ann.receive_rest()
        assert ann.others == []
