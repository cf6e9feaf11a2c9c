"""The queue for a client that does not read, of all its documents together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.test import override_settings

from collab.conf import Settings
from collab.engine.connections.fast_path import Write
from collab.engine.hub.current import current_hub
from collab.hocuspocus.frames import prefix_of
from collab.hocuspocus.outbox import AddressedOutbox, Line
from collab.protocol.frames import update_frame
from tests.engine.fakes import Socket
from tests.engine.watchers import MEMORY
from tests.harness.waiting import until
from tests.protocol.yjs.samples import typed

from .client import Client, encoded
from .projects import Answers

pytestmark = pytest.mark.usefixtures("memory")

SMALL = Settings(MAX_MEMBER_BACKLOG=1000, SEND_TIMEOUT=60)


class View:
    """A room without presence, whose document is 100 KB."""

    size = 100_000
    presence: Any = None

    def state(self) -> bytes:
        return b"\0"

    def answer(self, state: bytes) -> list[bytes]:
        return [update_frame(b"x" * self.size)]


class Served:
    """A client's connection with some documents."""

    def __init__(self, count: int, settings: Settings = SMALL, write: Write | None = None) -> None:
        self.socket = Socket()
        self.closes: list[tuple[int, str]] = []
        self.line = Line(self.socket.send, write, settings, self.socket.evict)
        self.outboxes = [self._outbox(f"document {number}", settings) for number in range(count)]

    def _outbox(self, name: str, settings: Settings) -> AddressedOutbox:
        outbox = AddressedOutbox(
            self.line,
            prefix_of(name.encode()),
            settings,
            lambda code, reason: self.closes.append((code, reason)),
            None,
        )
        outbox.enter(View(), name)
        return outbox


async def test_frames_go_behind_the_address_one_object_for_all_of_a_room() -> None:
    served, others = Served(2), Served(1)
    frame = update_frame(b"abc")
    served.outboxes[0].send_frame(frame)
    others.outboxes[0].send_frame(frame)
    served.outboxes[1].send_frame(frame)
    assert served.socket.frames == [
        encoded("document 0", frame),
        encoded("document 1", frame),
    ]
    assert served.socket.frames[0] is others.socket.frames[0]


async def test_the_backlog_of_all_documents_is_bounded() -> None:
    served = Served(100)
    served.socket.block()
    updates = typed("x" * 30)
    for update in updates:
        for outbox in served.outboxes:
            outbox.send_update(update, update_frame(update))
            assert served.line.backlog <= SMALL.MAX_MEMBER_BACKLOG + 200
    await asyncio.sleep(0)
    served.socket.unblock()
    await until(lambda: not any(outbox.is_blocked for outbox in served.outboxes))
    assert served.line.backlog == 0
    # Each document's client has all: its updates, or the whole document in their place.
    assert len(served.socket.frames) >= 200
    assert not served.socket.evicted


async def test_messages_of_which_none_may_be_left_out_evict_a_client_that_does_not_read() -> None:
    served = Served(100)
    served.socket.block()
    for outbox in served.outboxes:
        for _ in range(3):
            outbox.send_frame(b"x" * 100)
    assert served.socket.evicted
    for outbox in served.outboxes:
        outbox.stop()
    assert served.line.backlog == 0


async def test_reports_wait_as_a_number() -> None:
    served = Served(1)
    (outbox,) = served.outboxes
    outbox.send_stored(2)
    served.socket.block()
    outbox.send_stored(1)
    outbox.send_stored(1000)
    assert outbox.is_blocked and served.line.backlog == 0
    served.socket.unblock()
    await outbox.ready()
    assert served.socket.frames == [encoded("document 0", 8, 1)] * 1003


async def test_reports_are_written_together() -> None:
    written = []

    def write(frame: bytes | str, count: int = 1) -> bool:
        written.append((frame, count))
        return len(written) < 3

    served = Served(1, write=write)
    (outbox,) = served.outboxes
    report = encoded("document 0", 8, 1)
    outbox.send_stored(3)
    outbox.send_stored(1)
    assert written == [(report, 3), (report, 1)]
    # The socket writes nothing at once any more.
    outbox.send_stored(2)
    assert served.socket.frames == [report] * 2
    outbox.close(1000, "")
    outbox.send_stored(5)
    assert served.socket.frames == [report] * 2


async def test_an_update_is_written_at_once_until_the_document_is_closed() -> None:
    written = []

    def write(frame: bytes | str, count: int = 1) -> bool:
        written.append((frame, count))
        return True

    (outbox,) = Served(1, write=write).outboxes
    (update,) = typed("x")
    outbox.send_update(update, update_frame(update))
    outbox.close(1000, "")
    outbox.send_update(update, update_frame(update))
    assert written == [(encoded("document 0", update_frame(update)), 1)]


async def test_a_client_that_reads_nothing_is_evicted_in_time() -> None:
    served = Served(2, Settings(SEND_TIMEOUT=0.001))
    served.socket.block()
    for outbox in served.outboxes:
        outbox.send_frame(b"x")
    await until(lambda: served.socket.evicted)
    for outbox in served.outboxes:
        outbox.stop()


async def test_nothing_is_sent_behind_the_end_of_the_connection() -> None:
    served = Served(1)
    (outbox,) = served.outboxes
    await served.line.send({"type": "websocket.close", "code": 1000})
    outbox.send_frame(b"x")
    await served.line.send({"type": "websocket.send", "bytes": b"x"})
    assert len(served.socket.messages) == 1
    assert served.line.write(b"x")


async def test_a_document_is_closed_once() -> None:
    served = Served(1)
    (outbox,) = served.outboxes
    outbox.close(1000, "first")
    outbox.close(1000, "second")
    outbox.send_frame(b"x")
    assert served.closes == [(1000, "first")]
    assert served.socket.messages == []


@override_settings(COLLAB={"STORAGE": MEMORY, "MAX_MEMBER_BACKLOG": 2000})
async def test_a_client_that_reads_again_has_everything() -> None:
    async with Client(Answers.as_asgi()) as ann, Client(Answers.as_asgi()) as bob:
        names = [f"document {number}" for number in range(20)]
        reading, writing = [[c.document(name) for name in names] for c in (ann, bob)]
        for document in (*reading, *writing):
            document.attach()
        await ann.until(lambda: all(document.statuses == [1] for document in reading))
        await bob.until(lambda: all(document.statuses == [1] for document in writing))
        ann.pause()
        for turn in range(50):
            for document in writing:
                document.write(f"{turn} ")
            await bob.until(lambda: all(len(d.statuses) == turn + 2 for d in writing))  # noqa: B023
        late = ann.document("late")
        late.attach()
        ann.resume()
        await ann.until(lambda: late.synced)
        await ann.until(lambda: [d.text for d in reading] == [d.text for d in writing])
        assert len(current_hub().rooms) == 21
