"""A bad frame harms its sender only (I4), and no abuse holds up the others (I8)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from itertools import islice
from random import Random

import pytest
from pycrdt import Text, write_var_uint
from websockets.exceptions import InvalidStatus

from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.protocol.yjs import poison

from .attacks import (
    HELLO,
    UNLIMITED,
    held_back,
    mutations,
    open_connection,
    presence,
    real_updates,
    step1,
    step2,
    strike,
    strike_each,
    sync,
    update,
)
from .honest_pair import memory, unharmed
from .typists import read

MiB = 1024 * 1024
QUERY_PRESENCE = b"\3"

#: An update that puts an "a" into a text.
LETTER = bytes.fromhex("0101070004010661747461636b016100")

BAD_FRAMES = {
    "nothing": b"",
    "an unknown type": b"\x63",
    "a type that is cut off": b"\x80",
    "a type larger than any integer": b"\xff" * 30,
    "a denial of permission": b"\x02\x00\x02no",
    "a sync message without a kind": b"\x00",
    "a sync message of an unknown kind": sync(3, LETTER),
    "a sync message without a payload": b"\x00\x02",
    "a payload that is cut off": update(LETTER)[:-1],
    "a payload of four gigabytes": b"\x00\x02\xff\xff\xff\xff\x0f",
    "bytes behind the payload": update(LETTER) + b"\x00",
    "an empty update": update(b""),
    "an update that is none": update(b"hello"),
    "an update that is cut off": update(LETTER[:-1]),
    "an update with bytes behind it": update(LETTER + b"\x00"),
    "an update of very many clients": update(b"\x80\x80\x80\x80\x02"),
    "an update that loops": update(poison.ENDLESS),
    "an update that panics": update(poison.PANICKING),
    "an update that breaks the document": update(poison.POISONING),
    "an update that breaks it later": update(poison.SILENTLY_POISONING),
    "an update that makes it unreadable": step2(poison.CORRUPTING),
    "an update that overflows the stack": update(poison.deep_value(200_000)),
    "an empty state vector": step1(b""),
    "a state vector that is none": step1(b"hello"),
    "a state vector of very many clients": step1(b"\x80\x80\x80\x80\x02"),
    "presence without a payload": b"\x01",
    "presence that is cut off": presence((7, 1, b"{}"))[:-1],
    "presence of very many clients": b"\x01\x05\xff\xff\xff\xff\x0f",
    "presence that is no JSON": presence((7, 1, b"{")),
    "presence that is not UTF-8": presence((7, 1, b'"\xff"')),
    "presence that is no object": presence((7, 1, b"[]")),
    "presence with a number that is none": presence((7, 1, b'{"x": NaN}')),
    "presence with an endless number": presence((7, 1, b'{"x": -Infinity}')),
    "presence that is nested deep": presence((7, 1, b'{"x":' + b"[" * 10_000)),
    "presence of a huge state": presence((7, 1, b'{"x": "%s"}' % (b"x" * 70_000))),
    "presence of a thousand clients": presence(*((1000 + i, 1, b"{}") for i in range(1000))),
}

#: Text frames that are wrong, but hurt nobody; they are answered with an error.
BAD_TEXTS = [
    "",
    "hello",
    "\0",
    "\U0001f40d" * 1000,
    "null",
    "[]",
    "{}",
    '{"action": "destroy"}',
    '{"action": ["hello"]}',
    '{"action": {"a": NaN}, "request_id": [1e999]}',
    '{"action": "hello", "request_id": {}}',
    "[" * 100_000,
    '{"action": ' + "[" * 985 + "]" * 985 + "}",
]


def child_of_letter(client_id: int) -> bytes:
    """Return an update that makes a letter of that client the parent of a value.

    It has the form of an update, but cannot be applied.
    """
    return b"\1\1\2\0\x28\0" + bytes(write_var_uint(client_id)) + b"\0\1k\1\x7f\0"


async def visit(server: Server, numbers: Iterable[int]) -> None:
    """Open a document for each of ``numbers`` and leave it again, a few at a time."""
    left = iter(numbers)

    async def visit_one_by_one() -> None:
        for number in left:
            async with server.client(f"document {number}") as client:
                await client.insert("x")

    await asyncio.gather(*(visit_one_by_one() for _ in range(8)))


async def test_bad_frames_cost_only_their_sender_the_connection(server: Server) -> None:
    async with unharmed(server):
        codes = {name: await strike(server, [frame]) for name, frame in BAD_FRAMES.items()}
    assert codes == dict.fromkeys(BAD_FRAMES, 1008)


async def test_wrong_requests_are_answered(server: Server) -> None:
    async with unharmed(server):
        assert [await strike(server, [text]) for text in BAD_TEXTS] == [None] * len(BAD_TEXTS)


async def test_frames_that_are_too_big_are_refused(start_server: StartServer) -> None:
    server = start_server(collab={"MAX_FRAME_SIZE": 10_000})
    async with unharmed(server):
        assert await strike(server, [update(b"x" * 10_000)]) == 1009
        assert await strike(server, ["x" * 10_001]) == 1009
        assert await strike(server, ["\U0001f40d" * 2_501]) == 1009
        # The websocket server has a limit of its own.
        assert await strike(server, [b"x" * (65 * 1024 * 1024)]) == 1009


async def test_an_update_that_cannot_be_applied_costs_only_its_sender_the_connection(
    start_server: StartServer,
) -> None:
    server = start_server(collab=UNLIMITED)
    async with unharmed(server) as (ann, bob):
        await ann.wait_until(lambda: ann.text)
        frame = update(child_of_letter(bob.doc.client_id))
        for kind in (update, step2):
            codes = [await strike(server, [kind(LETTER), frame]) for _ in range(10)]
            assert codes == [1008] * 10
    server.wait_for_log("An update is refused for good")


async def test_mutated_updates_harm_no_other(start_server: StartServer) -> None:
    server = start_server(collab=UNLIMITED)
    random = Random(1)
    frames = [random.choice([update, step2])(data) for data in islice(mutations(random), 3_000)]
    async with unharmed(server):
        refused = await asyncio.gather(*(strike_each(server, frames[i::4]) for i in range(4)))
    # Otherwise the mutations were too timid, or so wild that none was looked at closely.
    assert 1_000 < sum(refused) < 2_900


async def test_updates_that_wait_for_others_or_contradict_them_harm_no_other(
    database: str, start_server: StartServer
) -> None:
    server = start_server(database, collab=UNLIMITED)
    random = Random(5)
    frames = [random.choice([update, step2])(data) for data in islice(held_back(random), 2_000)]
    async with unharmed(server) as (ann, _):
        await asyncio.gather(*(strike_each(server, frames[i::4]) for i in range(4)))
        await ann.insert("The end.")
    await asyncio.to_thread(server.restart)
    assert await read(server, "room") == ann.text


async def test_types_inside_each_other_are_refused_before_they_use_up_the_stack(
    start_server: StartServer,
) -> None:
    server = start_server(collab={"MAX_NESTING": 500})
    async with unharmed(server):
        for client, kind in enumerate(["map", "list", "xml"], 2):
            # Together they end a process that deletes the first.
            chain = [
                update(poison.nested(100, kind, start=start, client=client))
                for start in range(0, 100_000, 100)
            ]
            assert await strike(server, chain[:5]) is None
            assert await strike(server, chain[5:]) == 1009
            assert await strike(server, [update(poison.nested(100_000, kind, client=9))]) == 1009
            deletion = b"\0\1" + bytes((client,)) + b"\1\0\1"
            assert await strike(server, [update(deletion)]) is None


async def test_text_that_is_not_utf8_is_refused(server: Server) -> None:
    # The websocket server's own word for it.
    server.allow_errors("Invalid UTF-8 sequence received from client")
    async with unharmed(server), open_connection(server) as connection:
        await connection.send(b'{"action": "\xff"}', text=True)
        await connection.wait_closed()
        assert connection.close_code == 1007


async def test_compression_is_declined_so_that_no_frame_unpacks_to_something_huge(
    server: Server,
) -> None:
    async with unharmed(server), open_connection(server, compression="deflate") as connection:
        assert connection.protocol.extensions == []


async def test_a_flood_of_frames_delays_no_other(start_server: StartServer) -> None:
    # So many bytes that nobody is slowed down for what is sent to him; messages alone do it.
    server = start_server(collab={"MESSAGE_BURST": 500, "BYTE_RATE": 1024 * MiB})
    random = Random(2)
    letters = [update(data) for _ in range(80) for data in real_updates(random)]
    floods: list[Sequence[bytes | str]] = [
        letters,
        [step1()] * 1_500,
        [presence((7, clock, b'{"name": "%d"}' % clock)) for clock in range(1_500)],
        [QUERY_PRESENCE] * 1_500,
        [HELLO] * 1_500,
        ["{}"] * 1_500,
    ]
    async with unharmed(server) as (ann, _):
        async with ann.edit() as doc:
            # So that it costs something to send the whole document.
            doc.get("bulk", type=Text).insert(0, "x" * MiB)
        before = memory(server)
        assert await asyncio.gather(*(strike(server, flood) for flood in floods)) == [None] * 6
        assert memory(server) - before < 100 * MiB


async def test_thousands_of_documents_leave_nothing_in_memory(start_server: StartServer) -> None:
    server = start_server(collab={**UNLIMITED, "UNLOAD_DELAY": 0})
    async with unharmed(server):
        # The first make Python and the database grow to their size.
        await visit(server, range(300))
        before = memory(server)
        await visit(server, range(300, 2_000))
        # A document that stays open is 20 KB at least.
        assert memory(server) - before < 15 * MiB


async def test_more_documents_than_allowed_are_refused_until_others_are_closed(
    start_server: StartServer,
) -> None:
    server = start_server(collab={"MAX_ROOMS": 10, "UNLOAD_DELAY": 0})
    async with unharmed(server), AsyncExitStack() as stack:
        for number in range(9):
            await stack.enter_async_context(server.client(f"room {number}"))
        assert await strike(server, [], "one too many") == 1013
        assert await strike(server, [], "room 1") is None
        await stack.aclose()
        while await strike(server, [], "now there is room") == 1013:
            pass


async def test_connections_that_come_and_go_harm_no_other(start_server: StartServer) -> None:
    server = start_server(collab=UNLIMITED)
    random = Random(3)

    async def come_and_go(count: int) -> None:
        for _ in range(count):
            async with open_connection(server) as connection:
                match random.randrange(4):
                    case 0:
                        await connection.send(step1())
                    case 1:
                        await connection.send(update(random.choice(real_updates(random))))
                        connection.transport.abort()
                    case 2:
                        await connection.send(HELLO)
                        await connection.recv()
                    case 3:
                        connection.transport.abort()

    async with unharmed(server):
        await asyncio.gather(*(come_and_go(100) for _ in range(8)))


async def test_connections_that_say_nothing_are_closed(start_server: StartServer) -> None:
    server = start_server(collab={"FIRST_FRAME_TIMEOUT": 5})
    async with unharmed(server), AsyncExitStack() as stack:
        # Handshakes that do not end.
        for end in range(1, 100):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.callback(writer.close)
            writer.write(b"GET /ws/room HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"[:end])
        silent = [await stack.enter_async_context(open_connection(server)) for _ in range(100)]
        await asyncio.gather(*(connection.wait_closed() for connection in silent))
        assert {connection.close_code for connection in silent} == {1008}


async def test_other_subprotocols_are_not_spoken(server: Server) -> None:
    offers = {("collab",): "collab", ("mqtt",): None, ("mqtt", "collab", "COLLAB"): "collab"}
    async with unharmed(server):
        for offered, chosen in offers.items():
            async with open_connection(server, subprotocols=offered) as connection:
                assert connection.subprotocol == chosen


async def test_a_reader_changes_nothing(server: Server) -> None:
    random = Random(4)
    async with unharmed(server) as (ann, _):
        mallory = server.client("room", "guarded", access="read")
        async with mallory:
            for data in real_updates(random):
                await mallory.send(random.choice([update, step2])(data))
            await mallory.wait_until(lambda: mallory.denied)
            await mallory.wait_until(lambda: mallory.text == ann.text)
        assert set(ann.doc.keys()) == {"text"}


NAMES = [
    "plain",
    "a",
    "x" * 255,
    "\U0001f40d" * 255,
    "Zürich/Straße 5/ß",
    "\U0001f468‍\U0001f469‍\U0001f467",
    "e\u0301",
    "é",
    "مرحبا ‏‮RTL",
    "日本語のノート",
    "a/b//c/",
    "/",
    "..",
    "%2F%00",
    "a?b=c#d",
    "spaces  in and behind  ",
    "spaces  in and behind ",
    " ",
    "Case",
    "case",
    "'; DROP TABLE documents; --",
    '"quoted" \\ back`tick` %s %(name)s {0}',
    "\t\x01\x7f",
    "\ufeff\ufffd",
]


async def test_every_name_is_a_document_of_its_own(
    database: str, start_server: StartServer
) -> None:
    server = start_server(database)
    for name in NAMES:
        async with server.client(name) as client:
            assert client.text == ""
            await client.insert(f"This is {name!r}")
    await asyncio.to_thread(server.restart)
    assert [await read(server, name) for name in NAMES] == [f"This is {name!r}" for name in NAMES]


async def test_names_that_no_document_can_have_are_refused(server: Server) -> None:
    for name in ("x" * 256, "\U0001f40d" * 256, "nul \0"):
        async with open_connection(server, name, subprotocols=["collab"]) as connection:
            await connection.wait_closed()
        assert connection.close_code == 4404
        with pytest.raises(InvalidStatus, match="403"):
            await server.client(name).connect()
