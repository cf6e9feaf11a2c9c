"""Members who may only comment, in documents that are too large to be checked at once."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from channels.routing import URLRouter
from django.core.exceptions import ValidationError
from django.urls import path
from pycrdt import Doc, Text

from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer
from collab.documents import registry
from collab.engine.connections import comment_checks
from collab.engine.hub.current import current_hub
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.exceptions import Forbidden, NoSuchDocument, Unauthenticated
from collab.protocol.yjs.formats import MAX_CHECKED_SIZE
from collab.testing import CollabClient, close_rooms, connect
from collab_storage.subprocesses import ProcessQueue
from tests.harness.waiting import until

pytestmark = pytest.mark.usefixtures("memory")


class Commenting(YjsConsumer):
    """Lets everybody comment, as long as a test has it."""

    answer: ClassVar[Access | Exception]
    asked: ClassVar[int]

    async def authorize(self) -> Access:
        Commenting.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


application = URLRouter([path("ws/<str:room>", Commenting.as_asgi())])


@pytest.fixture(autouse=True)
def fresh() -> None:
    Commenting.answer, Commenting.asked = Access.COMMENT, 0


class Gate:
    """Holds up checks, and runs them here; or another function in their place, in a process."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.is_open = asyncio.Event()
        self.instead: str | None = None
        self.processes = comment_checks._processes

    async def run(self, function: Any, *args: Any) -> Any:
        self.asked.append(args[0])
        await self.is_open.wait()
        if self.instead is None:
            return function(*args)
        return await self.processes.run(exec, self.instead)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(comment_checks, "_processes", gate)
    return gate


#: What a process does in place of a check; never this one, which has pytest.
DIE = "import os, sys; 'pytest' in sys.modules or os.kill(os.getpid(), 9)"
FAIL = "raise LookupError"
HANG = "import threading; threading.Event().wait()"


async def write(size: int = 40_000) -> None:
    async with documents.aedit("room") as doc:
        doc.get("text", type=Text).insert(0, "hello " * (size // 6))


async def stored() -> list[Any]:
    return list((await documents.aread("room")).get("text", type=Text).diff())


def text_of(client: CollabClient) -> Text:
    text: Text = client.doc.get("text", type=Text)
    return text


async def test_comments_are_checked_in_their_order_and_other_changes_refused(gate: Gate) -> None:
    await write()
    async with connect(application, "/ws/room") as ann, connect(application, "/ws/room") as bob:
        text = text_of(ann)
        text.format(0, 5, {"comment": 1})
        text.format(6, 11, {"comment": 2})
        await until(lambda: gate.asked)
        # Nobody else waits meanwhile.
        bob.set_presence({"name": "bob"})
        await ann.wait_until(lambda: bob.doc.client_id in ann.presence)
        gate.is_open.set()
        await bob.wait_until(lambda: text_of(bob).diff() == text.diff())
        assert len(gate.asked) == 2
        text.insert(0, "!")
        await ann.wait_until(lambda: ann.errors)
    assert [formats for _, formats in await stored()][:3] == [{"comment": 1}, None, {"comment": 2}]
    assert (await stored())[0][0] == "hello"


async def comments() -> list[Any]:
    """Return the comment at the begin of the text, as it is stored."""
    formats = [chunk[1] for chunk in await stored()]
    return [each and each.get("comment") for each in formats][:1]


async def enter() -> CollabClient:
    """Return a client whose end closes no room."""
    client = CollabClient(application, "/ws/room")
    await client.connect()
    return client


def open_room() -> Room:
    return current_hub().rooms["room", True]


async def test_a_comment_of_a_member_that_has_left_is_stored(gate: Gate) -> None:
    await write()
    ann = await enter()
    text_of(ann).format(0, 5, {"comment": 1})
    text_of(ann).format(0, 5, {"comment": 2})
    await until(lambda: gate.asked)
    room = open_room()
    # The end of a connection waits for what it has sent.
    leaving = asyncio.create_task(ann.disconnect())
    await until(lambda: not room.members)
    assert not leaving.done()
    gate.is_open.set()
    await leaving
    assert await comments() == [2]
    assert len(gate.asked) == 2
    await close_rooms()


async def test_a_room_stays_open_while_a_comment_waits(gate: Gate, settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "UNLOAD_DELAY": 0, "CLOSE_TIMEOUT": 0}
    await write()
    ann = await enter()
    text_of(ann).format(0, 5, {"comment": 1})
    await until(lambda: gate.asked)
    room = open_room()
    await ann.disconnect()
    assert room.is_used
    assert not room.members
    gate.is_open.set()
    await until(lambda: ("room", True) not in current_hub().rooms)
    assert await comments() == [1]
    await close_rooms()


@pytest.mark.parametrize(
    "access", [Access.NONE, Access.READ, Forbidden(), Unauthenticated(), NoSuchDocument()]
)
@pytest.mark.parametrize("leaves", [True, False])
async def test_a_comment_of_a_user_who_has_lost_access_is_dropped(
    gate: Gate, access: Access | Exception, leaves: bool
) -> None:
    await write()
    ann = await enter()
    text_of(ann).format(0, 5, {"comment": 1})
    await until(lambda: gate.asked)
    room = open_room()
    leaving = [asyncio.create_task(ann.disconnect())] if leaves else []
    await until(lambda: not (leaves and room.members))
    Commenting.answer = access
    gate.is_open.set()
    await room.checked()
    await asyncio.gather(*leaving)
    await ann.disconnect()
    assert await comments() == [None]
    await close_rooms()


async def test_the_last_answer_holds_while_the_project_cannot_answer(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    await write()
    async with connect(application, "/ws/room") as ann:
        text_of(ann).format(0, 5, {"comment": 1})
        await until(lambda: gate.asked)
        Commenting.answer = LookupError()
        gate.is_open.set()
        await until(lambda: "Access could not be checked." in caplog.text)
    assert await comments() == [1]


async def test_an_answer_that_is_too_old_does_not_hold(gate: Gate, settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "ACCESS_GRACE": 0}
    await write()
    async with connect(application, "/ws/room") as ann:
        text_of(ann).format(0, 5, {"comment": 1})
        await until(lambda: gate.asked)
        Commenting.answer = LookupError()
        gate.is_open.set()
        await until(lambda: Commenting.asked > 1)
    assert await comments() == [None]


async def raised_while_a_comment_waits(client: CollabClient, gate: Gate) -> Member:
    """Raise a commenter to a writer while its comment waits; return the member."""
    text_of(client).format(0, 5, {"comment": 1})
    await until(lambda: gate.asked)
    Commenting.answer = Access.WRITE
    [member] = open_room().members
    await member.connection.recheck_access()
    return member


def waiting(member: Member) -> int:
    """Return the number of a member's updates that wait."""
    checks = open_room()._comments
    assert checks is not None
    return len(checks._waiting[member].updates)


async def test_updates_of_a_new_writer_wait_behind_its_comments(gate: Gate) -> None:
    await write()
    async with connect(application, "/ws/room") as ann:
        member = await raised_while_a_comment_waits(ann, gate)
        text_of(ann).insert(0, "!")
        text_of(ann).insert(0, "?")
        await until(lambda: waiting(member) == 3)
        before = member._saved
        gate.is_open.set()
        await until(lambda: member._saved >= before + 3)
        assert member.session.access is Access.WRITE
    [(first, _), (second, formats), *_] = await stored()
    assert (first, second, formats) == ("?!", "hello", {"comment": 1})


async def test_updates_of_a_new_writer_are_dropped_if_it_may_only_comment_again(
    gate: Gate,
) -> None:
    await write()
    async with connect(application, "/ws/room") as ann:
        member = await raised_while_a_comment_waits(ann, gate)
        text_of(ann).insert(0, "!")
        await until(lambda: waiting(member) == 2)
        Commenting.answer = Access.COMMENT
        gate.is_open.set()
        await open_room().checked()
    assert (await stored())[0] == ("hello", {"comment": 1})


async def test_comments_of_a_member_that_wait_are_limited(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comment_checks, "_MAX_WAITING", 2)
    await write()
    async with connect(application, "/ws/room") as ann:
        for number in range(3):
            text_of(ann).format(0, 5, {"comment": number})
        assert (await ann.wait_closed()).code == 1013
        gate.is_open.set()


async def test_bytes_of_all_comments_that_wait_are_limited(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comment_checks, "_MAX_TOTAL_SIZE", 1000)
    await write()
    async with connect(application, "/ws/room") as ann, connect(application, "/ws/room") as bob:
        text_of(ann).format(0, 5, {"comment": 1})
        await until(lambda: gate.asked)
        text_of(bob).format(0, 5, {"comment": 2})
        assert (await bob.wait_closed()).code == 1013
        gate.is_open.set()
        await until(lambda: Commenting.asked == 3)
    assert await comments() == [1]
    assert comment_checks._budgets.current().size == 0


@pytest.mark.parametrize("end", [DIE, FAIL])
async def test_a_check_whose_process_dies_ends_the_connection_of_its_sender(
    gate: Gate, end: str
) -> None:
    await write()
    async with connect(application, "/ws/room") as ann, connect(application, "/ws/room") as bob:
        gate.instead = end
        gate.is_open.set()
        text_of(ann).format(0, 5, {"comment": 1})
        await until(lambda: any(member.is_closed for member in open_room().members))
        assert (await ann.wait_closed()).code == 1013
        gate.instead = None
        text_of(bob).format(0, 5, {"comment": 2})
        await until(lambda: len(gate.asked) == 2)
        await open_room().checked()
    assert await comments() == [2]


async def test_a_check_that_hangs_ends_the_connection_of_its_sender(gate: Gate) -> None:
    gate.processes, gate.instead = ProcessQueue(1, 1.0), HANG
    gate.is_open.set()
    await write()
    async with connect(application, "/ws/room") as ann:
        text_of(ann).format(0, 5, {"comment": 1})
        await until(lambda: gate.asked)
        await open_room().checked()
        assert (await ann.wait_closed()).code == 1013
    assert await comments() == [None]


async def test_a_comment_is_checked_in_another_process(caplog: pytest.LogCaptureFixture) -> None:
    await write()
    async with connect(application, "/ws/room") as ann:
        text_of(ann).format(0, 5, {"comment": 1})
        await until(lambda: room_is_busy())
        await open_room().checked()
        text_of(ann).insert(0, "!")
        await until(lambda: room_is_busy())
        await open_room().checked()
    assert (await stored())[0] == ("hello", {"comment": 1})
    assert "Subprocess" not in caplog.text


def room_is_busy() -> bool:
    checks = open_room()._comments
    return checks is not None and checks.is_busy


async def test_a_document_that_is_deleted_meanwhile_takes_no_comment(gate: Gate) -> None:
    await write()
    async with connect(application, "/ws/room") as ann:
        text_of(ann).format(0, 5, {"comment": 1})
        await until(lambda: gate.asked)
        room = open_room()
        await documents.adelete("room")
        assert (await ann.wait_closed()).code == 4404
        # The check has ended with the room.
        await room.checked()
        gate.is_open.set()
    assert not await documents.aexists("room")


async def test_a_comment_that_the_type_refuses_ends_the_connection(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registrations", registry.Registry())

    @documents.register("room")
    class Strict(documents.DocumentType):
        def check_update(self, member: Any, outline: Any) -> None:
            raise ValidationError("No comments today.")

    await write()
    gate.is_open.set()
    async with connect(application, "/ws/room") as ann:
        text_of(ann).format(0, 5, {"comment": 1})
        assert (await ann.wait_closed()).reason == "No comments today."
    assert (await stored())[0][1] is None


async def test_a_comment_that_makes_the_document_too_large_ends_the_connection(
    gate: Gate, settings: Any
) -> None:
    settings.COLLAB = {**settings.COLLAB, "MAX_DOCUMENT_SIZE": 40_500}
    gate.is_open.set()
    await write()
    async with connect(application, "/ws/room") as ann:
        text_of(ann).format(0, 5, {"comment": "x" * 1000})
        await until(lambda: gate.asked)
        await open_room().checked()
        assert (await ann.wait_closed()).code == 1009
    assert await comments() == [None]


async def test_a_comment_that_came_another_way_meanwhile_needs_no_check(gate: Gate) -> None:
    await write()
    async with connect(application, "/ws/room") as ann:
        text_of(ann).format(0, 5, {"comment": 1})
        text_of(ann).format(0, 5, {"comment": 2})
        await until(lambda: gate.asked)
        open_room().edit(ann.doc.get_update())
        gate.is_open.set()
        await open_room().checked()
    assert await comments() == [2]
    assert len(gate.asked) == 1


async def test_a_very_large_document_takes_no_comments(gate: Gate) -> None:
    await write(60)
    async with connect(application, "/ws/room") as ann:
        large: Doc[Any] = Doc()
        large.get("more", type=Text).insert(0, "x" * (MAX_CHECKED_SIZE + 10_000))
        open_room().edit(large.get_update())
        open_room().flush()
        text_of(ann).format(0, 5, {"comment": 1})
        await ann.wait_until(lambda: ann.errors)
    assert not gate.asked
