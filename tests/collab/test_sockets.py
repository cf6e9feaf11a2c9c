"""uvicorn's websockets as this project extends them: the same messages, on a shorter way."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from collab.engine.connections.fast_path import EXTENSION, socket_of
from collab.engine.runtime.counters import counters
from collab.engine.sockets.unfinished import UnfinishedMessages
from collab.sockets import WebSocketProtocol
from tests.engine.transports import Line, Pipe, new_protocol, request
from tests.harness.waiting import until

STOCK = WebSocketsSansIOProtocol
MAX_SIZE = 1024

CONT, TEXT, BINARY = Opcode.CONT, Opcode.TEXT, Opcode.BINARY
CLOSE, PING, PONG = Opcode.CLOSE, Opcode.PING, Opcode.PONG


def frame(data: bytes, opcode: Opcode = BINARY, *, fin: bool = True, mask: bool = True) -> bytes:
    """Return a frame as a client sends it."""
    return Frame(opcode, data, fin=fin).serialize(mask=mask)


def altered(head: int, data: bytes = b"odd") -> bytes:
    """Return a frame with another first byte."""
    return bytes((head,)) + frame(data)[1:]


GOODBYE = frame(b"\x03\xe8bye", CLOSE)

#: Messages, and what may come between them.
GOOD = {
    "empty": [frame(b"")],
    "binary": [frame(b"hello")],
    "text": [frame("héllo 🦄".encode(), TEXT)],
    "longest with one byte": [frame(bytes(125))],
    "shortest with two bytes": [frame(bytes(126))],
    "as long as allowed": [frame(bytes(MAX_SIZE))],
    "fragments": [frame(b"a", fin=False), frame(b"b", CONT, fin=False), frame(b"c", CONT)],
    "fragments of text": [frame(b"\xc3", TEXT, fin=False), frame(b"\xa9", CONT)],
    "a ping among fragments": [frame(b"a", fin=False), frame(b"now?", PING), frame(b"b", CONT)],
    "ping": [frame(b"there?", PING)],
    "pong": [frame(b"unasked", PONG)],
}
#: What ends the connection.
BAD = {
    "close": [GOODBYE],
    "close without a code": [frame(b"", CLOSE)],
    "close without a reason": [frame(b"\x03\xe9", CLOSE)],
    "close with a code of the application": [frame(b"\x0f\xa0", CLOSE)],
    "close with a code that no frame has": [frame(b"\x03\xed", CLOSE)],
    "close, and frames behind it": [frame(b"\x03\xe8", CLOSE), frame(b"late"), GOODBYE],
    "close with half a code": [frame(b"\x03", CLOSE)],
    "close in a message": [frame(b"a", fin=False), GOODBYE],
    "not masked": [frame(b"bare", mask=False)],
    "too large": [frame(bytes(MAX_SIZE + 1))],
    "too large, by fragments": [frame(bytes(MAX_SIZE), fin=False), frame(b"x", CONT)],
    "no message to go on with": [frame(b"lost", CONT)],
    "another message in a message": [frame(b"a", fin=False), frame(b"b")],
    "invalid text": [frame(b"\xff", TEXT)],
    "a reserved bit": [altered(0xC2)],
    "an unknown opcode": [altered(0x83)],
    "a fragment of a ping": [altered(0x09)],
    "a ping that is too long": [altered(0x89, bytes(126))],
}


async def outcome(
    kind: type[WebSocketsSansIOProtocol], pieces: list[bytes]
) -> tuple[list[Any], bytes]:
    """Return what the application receives, and what the client is sent."""
    async with Line(kind, max_size=MAX_SIZE) as line:
        await line.feed(pieces)
        sent = await line.end()
        return line.events, sent


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds) if start < end]


@pytest.mark.parametrize("name", [*GOOD, *BAD])
async def test_each_frame_means_what_it_means_to_the_library(name: str) -> None:
    frames = (GOOD | BAD)[name]
    expected = await outcome(STOCK, frames)
    assert expected[0]
    assert await outcome(WebSocketProtocol, frames) == expected
    assert await outcome(WebSocketProtocol, [b"".join(frames)]) == expected


@pytest.mark.parametrize("name", ["binary", "text", "shortest with two bytes", "fragments", "ping"])
async def test_a_frame_may_be_split_at_every_byte(name: str) -> None:
    frames = [*GOOD[name], *GOOD["binary"]]
    expected, data = await outcome(STOCK, frames), b"".join(frames)
    for place in range(1, len(data)):
        assert await outcome(WebSocketProtocol, cut(data, [place])) == expected
    assert await outcome(WebSocketProtocol, cut(data, [*range(1, len(data))])) == expected


@given(
    st.lists(st.sampled_from([*GOOD.values()]), max_size=6),
    st.lists(st.sampled_from([*BAD.values()]), max_size=1),
    st.lists(st.sampled_from([*GOOD.values()]), max_size=2),
    st.data(),
)
def test_however_frames_arrive_the_messages_are_those_of_the_library(
    good: list[list[bytes]], bad: list[list[bytes]], late: list[list[bytes]], data: st.DataObject
) -> None:
    frames = [part for message in good + bad + late for part in message]
    stream = b"".join(frames)
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))

    async def compare() -> None:
        # The library loses a message that arrives in one read with something wrong.
        expected = await outcome(STOCK, frames)
        assert await outcome(WebSocketProtocol, cut(stream, places)) == expected

    asyncio.run(compare())


async def test_a_message_over_the_limit_is_refused_before_it_has_arrived() -> None:
    async with Line(max_size=MAX_SIZE) as line:
        await line.feed([frame(bytes(2**17))[:14]])
        await until(lambda: line.events)
        assert line.events[0]["code"] == 1009


async def test_a_message_is_received_over_a_wire() -> None:
    async with Line(max_size=2**20) as line:
        payloads = [bytes((number,)) * 2**number for number in range(20)]
        line.writer.writelines([frame(payload) for payload in payloads])
        await until(lambda: len(line.events) == len(payloads))
        assert [event["bytes"] for event in line.events] == payloads


async def test_compression_is_declined() -> None:
    async with Line(compressed=True) as line:
        assert b"permessage-deflate" not in line.answer
        assert line.protocol.write(b"hello")  # type: ignore[attr-defined]
        await line.feed([frame(b"plain"), altered(0xC2, b"\xcaH\xcd\xc9\xc9\x07\x00")])
        await until(lambda: len(line.events) == 2)
        assert line.events[0]["bytes"] == b"plain"
        assert line.events[1]["code"] == 1002


# What frames cost (I16).


async def test_others_have_their_turn_between_the_frames_of_one_read() -> None:
    async with Line() as line:
        turns, flood = 0, frame(b"", PING) * 1_000 + frame(b"end")

        def count() -> None:
            nonlocal turns
            turns += 1
            if not line.events:
                asyncio.get_running_loop().call_soon(count)

        line.protocol.data_received(flood)
        count()
        await until(lambda: line.events)
        assert turns >= 10
        assert line.events == [{"type": "websocket.receive", "bytes": b"end"}]
        assert await line.reader.readexactly(2 * 1_000) == b"\x8a\0" * 1_000


async def test_frames_that_come_meanwhile_wait_behind_those_that_wait() -> None:
    async with Line() as line:
        line.protocol.data_received(frame(b"", PING) * 200 + frame(b"one"))
        line.protocol.data_received(frame(b"two") + frame(b"three"))
        await until(lambda: len(line.events) == 3)
        assert [event["bytes"] for event in line.events] == [b"one", b"two", b"three"]


async def test_an_event_of_the_application_ends_no_pause(settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "MESSAGE_RATE": 10, "MESSAGE_BURST": 1}
    async with Line() as line:
        began = asyncio.get_running_loop().time()
        line.protocol.data_received(frame(b"", PING) * 2)
        line.protocol.inject({"type": "own"})  # type: ignore[attr-defined]
        await until(lambda: line.events)
        line.writer.write(frame(b"later"))
        await until(lambda: len(line.events) == 2)
        assert asyncio.get_running_loop().time() - began > 0.09


async def test_frames_are_left_to_the_library_while_it_logs_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "uvicorn.error")
    async with Line() as line:
        await line.feed([frame(b"one"), frame(b"two")])
        await until(lambda: len(line.events) == 2)
        assert [event["bytes"] for event in line.events] == [b"one", b"two"]
    protocol, pipe = new_protocol(echo), Pipe()
    protocol.connection_made(pipe)
    protocol.data_received(request() + frame(b"early"))
    await until(lambda: pipe.written and pipe.written[-1].endswith(b"\x82\x05early"))
    protocol.connection_lost(None)


@pytest.mark.parametrize("flood", ["pings", "pongs", "fragments"])
async def test_control_frames_and_fragments_are_read_no_faster_than_messages(
    settings: Any, flood: str
) -> None:
    settings.COLLAB = {**settings.COLLAB, "MESSAGE_RATE": 1_000, "MESSAGE_BURST": 10}
    frames = {
        "pings": [frame(b"", PING)] * 110,
        "pongs": [frame(b"", PONG)] * 110,
        "fragments": [
            frame(b"a", fin=False),
            *[frame(b"", CONT, fin=False)] * 108,
            frame(b"", CONT),
        ],
    }[flood]
    async with Line() as line:
        began, waited = asyncio.get_running_loop().time(), counters.throttled_seconds
        line.protocol.data_received(b"".join(frames) + frame(b"end"))
        await until(lambda: line.events and line.events[-1]["bytes"] == b"end")
        assert asyncio.get_running_loop().time() - began > 0.09
        assert counters.throttled_seconds > waited


async def test_a_client_that_does_not_read_gets_no_pongs() -> None:
    async with Line() as line:
        line.protocol.pause_writing()
        line.protocol.data_received(frame(b"lost", PING))
        line.protocol.resume_writing()
        line.protocol.data_received(frame(b"told", PING))
        assert await line.reader.readexactly(6) == b"\x8a\x04told"


async def test_the_application_receives_one_message_before_the_next_is_read() -> None:
    received = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await received.wait()

    protocol, pipe = new_protocol(application), Pipe()
    protocol.connection_made(pipe)
    protocol.data_received(request())
    await until(lambda: protocol.handshake_complete)
    protocol.data_received(frame(b"message") * 1_000)
    assert len(protocol.queue._events) == 1  # type: ignore[attr-defined]
    received.set()
    protocol.connection_lost(None)


async def test_messages_of_a_client_that_leaves_at_once_are_received_to_the_last() -> None:
    async with Line() as line:
        messages = [str(number).encode() for number in range(300)]
        stream = b"".join(frame(message) + frame(b"", PING) for message in messages)
        line.protocol.data_received(stream)
        line.protocol.transport.abort()
        await until(lambda: line.events and line.events[-1]["type"] == "websocket.disconnect")
        assert [event["bytes"] for event in line.events[:-1]] == messages


@pytest.mark.parametrize(
    "parts",
    [
        [frame(bytes(100_000))[:90_000]],
        [frame(bytes(10), fin=False), frame(b"", CONT, fin=False)],
    ],
    ids=["a part of a frame", "fragments"],
)
async def test_a_message_that_is_not_finished_ends_its_connection(
    monkeypatch: pytest.MonkeyPatch, parts: list[bytes]
) -> None:
    unfinished = UnfinishedMessages(timeout=0.01)
    monkeypatch.setattr("collab.sockets.current_unfinished", lambda: unfinished)
    async with Line(max_size=2**20) as line:
        await line.feed(parts)
        await until(lambda: line.events)
        assert line.events[0]["code"] == 1008
        assert not line.protocol.partial  # type: ignore[attr-defined]


async def test_a_large_message_has_more_time_than_a_small_one() -> None:
    given_up: list[str] = []

    class Upload:
        def __init__(self, name: str) -> None:
            self.name = name

        def give_up(self, code: int, reason: str) -> None:
            given_up.append(self.name)

    unfinished = UnfinishedMessages(timeout=0.01)
    unfinished.hold(Upload("large"), 10_000)
    unfinished.hold(Upload("small"), 1)
    await until(lambda: len(given_up) == 2)
    assert given_up == ["small", "large"]


async def test_the_oldest_unfinished_message_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished = UnfinishedMessages(most=250_000)
    monkeypatch.setattr("collab.sockets.current_unfinished", lambda: unfinished)
    part = frame(bytes(110_000))[:100_000]
    async with (
        Line(max_size=2**20) as first,
        Line(max_size=2**20) as second,
        Line(max_size=2**20) as third,
    ):
        for line in (first, second, second, third):
            await line.feed([part if line is not second else part[:50_000]])
        await second.feed([])
        assert not (first.events or second.events)
        await third.feed([b"x"])
        await second.feed([bytes(110_000)])
        await until(lambda: first.events)
        assert first.events[0]["code"] == 1013


async def test_a_finished_message_is_not_counted_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished = UnfinishedMessages(most=150_000)
    monkeypatch.setattr("collab.sockets.current_unfinished", lambda: unfinished)
    async with Line(max_size=2**20) as line:
        whole = frame(bytes(100_000))
        for _ in range(3):
            await line.feed([whole[:90_000], whole[90_000:]])
        await until(lambda: len(line.events) == 3)
        assert all("bytes" in event for event in line.events)


# Handshakes.


async def test_frames_before_the_application_accepts_wait_for_that() -> None:
    accept = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await accept.wait()
        await echo(scope, receive, send)

    protocol, pipe = new_protocol(application), Pipe()
    protocol.connection_made(pipe)
    protocol.data_received(request() + frame(b"one"))
    await until(lambda: protocol.handshake_initiated)
    protocol.data_received(frame(b"two"))
    accept.set()
    await until(lambda: b"".join(pipe.written).endswith(b"\x82\x03one\x82\x03two"))
    protocol.connection_lost(None)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"X: " + b"a" * 9_000, 431),
        # With the end of the line, it has one byte more than the library reads.
        (b"X: " + b"a" * 8_188, 431),
        (b"X: a\x01b", 400),
    ],
    ids=["too large", "too large with its end", "not valid"],
)
async def test_a_request_that_the_library_refuses_is_answered(headers: bytes, status: int) -> None:
    protocol, pipe = new_protocol(echo), Pipe()
    protocol.connection_made(pipe)
    protocol.data_received(request().replace(b"host: here", headers))
    await until(lambda: pipe.is_closing())
    assert pipe.written[-1].startswith(b"HTTP/1.1 %d " % status)
    protocol.connection_lost(None)


async def test_queries_which_may_have_tokens_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    queries: list[bytes] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        queries.append(scope["query_string"])
        await echo(scope, receive, send)

    protocol, pipe = new_protocol(application), Pipe()
    protocol.connection_made(pipe)
    protocol.data_received(request("room?token=secret"))
    await until(lambda: protocol.handshake_complete)
    protocol.connection_lost(None)
    assert queries == [b"token=secret"]
    assert "/ws/room" in caplog.text
    assert "secret" not in caplog.text


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event["bytes"]})


def has_library_part(line: Line) -> bool:
    """Return whether the library keeps state for a connection."""
    return any(type(thing) is ServerProtocol for thing in gc.get_referents(line.protocol.__dict__))


async def test_connections_share_the_names_of_their_attributes() -> None:
    # Python gives an object with more than 30 a dict of its own, of 1.5 KB.
    async with Line() as line:
        assert len(vars(line.protocol)) <= 30


async def test_between_messages_nothing_of_the_library_is_kept() -> None:
    async with Line() as line:
        assert not has_library_part(line)
        await line.feed([*GOOD["binary"], *GOOD["ping"], *GOOD["fragments"]])
        await until(lambda: len(line.events) == 2)
        line.protocol.send_keepalive_ping()
        assert not has_library_part(line)
        await line.feed(GOOD["a ping among fragments"][:2])
        assert has_library_part(line)
        await line.feed(GOOD["a ping among fragments"][2:])
        assert not has_library_part(line)
        await until(lambda: len(line.events) == 3)
        assert [event["bytes"] for event in line.events] == [b"hello", b"abc", b"ab"]


@pytest.mark.parametrize("kind", [STOCK, WebSocketProtocol])
async def test_several_may_wait_for_what_is_received(
    kind: type[WebSocketsSansIOProtocol],
) -> None:
    async with Line(kind) as line:
        received = line.events

        async def receive() -> None:
            received.append(await line.protocol.receive())

        others = [asyncio.create_task(receive()) for _ in range(3)]
        await asyncio.sleep(0)
        others.pop().cancel()
        await line.feed([frame(b"one"), frame(b"two"), frame(b"three")])
        await until(lambda: len(received) == 3)
        assert sorted(event["bytes"] for event in received) == [b"one", b"three", b"two"]
        for other in others:
            other.cancel()


# Sending.


def message(payload: Any) -> dict[str, Any]:
    return {"type": "websocket.send", "text" if isinstance(payload, str) else "bytes": payload}


PAYLOADS = [
    *(bytes(size) for size in (0, 1, 125, 126, 2**16 - 1, 2**16, 2**18)),
    *("", "héllo 🦄", "é" * 2**14, "é" * 2**16),
    bytearray(b"may change"),
]


async def written(kind: type[WebSocketsSansIOProtocol]) -> bytes:
    async with Line(kind) as line:
        reading = asyncio.create_task(line.reader.read())
        for payload in PAYLOADS * 2:
            await line.send(message(payload))
        await line.send({"type": "websocket.send", "bytes": None, "text": "both"})
        await line.send({"type": "websocket.close", "code": 4000, "reason": "done"})
        await line.feed([frame(b"\x0f\xa0done", CLOSE)])
        return await reading


async def test_the_bytes_sent_are_those_of_the_stock_protocol() -> None:
    assert await written(WebSocketProtocol) == await written(STOCK)


@pytest.mark.parametrize("is_large", [True, False], ids=["a large document", "many small frames"])
async def test_the_system_takes_no_more_than_it_can_send_soon(is_large: bool) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    client.setblocking(False)
    server, _ = listener.accept()
    protocol: Any = Line().protocol
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(lambda: protocol, server)
    protocol.data_received(request())
    await until(lambda: protocol.handshake_complete)
    for _ in range(2):
        if is_large:
            assert protocol.write(bytes(1 << 20))
        while protocol.write(bytes(1000)):
            pass
        limit = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        assert 0 < limit <= 1 << 18
        while not protocol.writable.is_set():
            assert await loop.sock_recv(client, 1 << 20)
    protocol.transport.abort()
    for sock in (client, listener):
        sock.close()


async def test_a_frame_for_many_is_encoded_once() -> None:
    async with Line() as one, Line() as other:
        transports = [Pipe(), Pipe()]
        payload = bytes(100)
        for line, transport in zip((one, other), transports, strict=True):
            own, line.protocol.transport = line.protocol.transport, transport
            await line.send({"type": "websocket.send", "bytes": payload})
            line.protocol.transport = own
        assert transports[0].written[0] is transports[1].written[0]


async def test_a_buffer_that_changes_is_sent_as_it_is_now() -> None:
    async with Line() as line:
        for word in (b"one", b"two"):
            buffer = bytearray(word)
            await line.send({"type": "websocket.send", "bytes": buffer})
            buffer[:] = b"..."
        assert await line.reader.readexactly(10) == b"\x82\x03one\x82\x03two"


async def test_half_a_character_is_refused_as_the_library_does() -> None:
    for kind in (STOCK, WebSocketProtocol):
        async with Line(kind) as line:
            with pytest.raises(UnicodeEncodeError):
                await line.send({"type": "websocket.send", "text": "\ud83e"})


async def test_nothing_is_written_at_once_to_a_client_that_does_not_read() -> None:
    async with Line() as line:
        socket = socket_of(line.scope)
        assert socket is not None
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        while socket.writer.write(bytes(2**13)):
            pass
        sending = asyncio.create_task(line.send({"type": "websocket.send", "text": "last"}))
        await asyncio.wait([sending], timeout=0.01)
        assert not sending.done()
        line.writer.transport.resume_reading()  # type: ignore[attr-defined]
        reading = asyncio.create_task(line.reader.read())
        await sending
        assert socket.writer.write(b"on")
        await line.send({"type": "websocket.close"})
        await line.feed([frame(b"\x03\xe8", CLOSE)])
        assert (await reading).endswith(b"\x81\x04last\x82\x02on\x88\x02\x03\xe8")


async def test_a_frame_that_is_sent_several_times_is_written_at_once() -> None:
    async with Line() as line:
        socket = socket_of(line.scope)
        assert socket is not None
        assert socket.writer.write(b"on", 3)
        assert await line.reader.readexactly(3 * 4) == b"\x82\x02on" * 3


async def test_nothing_is_written_to_a_connection_that_is_closed_or_gone() -> None:
    async with Line() as line:
        socket = socket_of(line.scope)
        assert socket is not None
        await line.send({"type": "websocket.close"})
        assert not socket.writer.write(b"late")
        await line.end()
        assert not socket.writer.write(b"too late")


async def test_nothing_is_written_to_a_connection_that_ends() -> None:
    async with Line() as line:
        socket = socket_of(line.scope)
        assert socket is not None
        line.protocol.transport.close()
        assert not socket.writer.write(b"late")
        await until(lambda: line.events)
        assert not socket.writer.write(b"too late")


async def test_frames_go_the_short_way_only_while_the_library_has_no_say() -> None:
    async with Line() as line:
        protocol: Any = line.protocol
        writer = protocol.writer
        assert writer.write(b"at once")
        await line.feed([frame(b"half", fin=False)])
        await until(lambda: not writer.is_open)
        # The usual way is open.
        await line.send({"type": "websocket.send", "bytes": b"meanwhile"})
        await line.feed([frame(b"whole", CONT)])
        await until(lambda: line.events)
        assert writer.write(b"again")
        protocol.send_keepalive_ping()
        assert writer.write(b"behind a ping")
        protocol.shutdown()
        assert not writer.write(b"never")
        sent = await line.reader.read()
        assert sent.startswith(b"\x82\x07at once\x82\x09meanwhile\x82\x05again\x89\x04")
        assert sent.endswith(b"\x82\x0dbehind a ping\x88\x02\x03\xf4")


# Past ASGI.


async def test_an_application_may_take_binary_messages_in_their_place() -> None:
    async with Line() as line:
        taken: list[bytes] = []

        def on_frame(payload: bytes) -> bool:
            if payload != b"not now":
                taken.append(payload)
            return payload != b"not now"

        line.scope["extensions"][EXTENSION]["socket"].on_frame = on_frame
        await line.feed([frame(b"one") + frame(b"two"), frame(b"text", TEXT), frame(b"waits")])
        await until(lambda: b"waits" in taken)
        await line.feed([frame(b"three") + frame(b"not now") + frame(b"waits, too")])
        await until(lambda: b"waits, too" in taken)
        assert taken == [b"one", b"two", b"waits", b"three", b"waits, too"]
        assert [event.get("text", event.get("bytes")) for event in line.events] == [
            *("text", b"not now")
        ]


async def test_events_that_an_application_injects_come_before_later_frames() -> None:
    async with Line() as line:
        socket = socket_of(line.scope)
        assert socket is not None

        def on_frame(payload: bytes) -> bool:
            socket.inject({"type": "own", "n": payload})
            return True

        socket.on_frame = on_frame
        await line.feed([frame(b"one") + frame(b"two")])
        socket.inject({"type": "own", "n": b"three"})
        await until(lambda: len(line.events) == 3)
        assert [event.get("n", event.get("bytes")) for event in line.events] == [
            *(b"one", b"three", b"two")
        ]
        await line.send({"type": "websocket.close"})
        socket.inject({"type": "own", "n": b"late"})
        # The client's answer is still read.
        line.writer.write(frame(b"\x03\xe8", CLOSE))
        assert await line.reader.read() == b"\x88\x02\x03\xe8"
