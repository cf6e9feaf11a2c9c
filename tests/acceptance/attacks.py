"""The frames of a hostile client."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from random import Random
from typing import Any

from pycrdt import (
    Array,
    Doc,
    Map,
    Text,
    TransactionEvent,
    XmlElement,
    XmlFragment,
    XmlText,
    merge_updates,
    write_var_uint,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.harness.server import Server

__all__ = [
    "HELLO",
    "UNLIMITED",
    "held_back",
    "mutated",
    "mutations",
    "open_connection",
    "presence",
    "real_updates",
    "step1",
    "step2",
    "strike",
    "strike_each",
    "sync",
    "update",
]

HELLO = json.dumps({"action": "hello", "request_id": 1})

#: For servers to which one machine connects more often than people do.
UNLIMITED = {
    "MAX_USER_CONNECTIONS": 100_000,
    "MAX_ADDRESS_CONNECTIONS": 100_000,
}


# Frames.


def _chunk(data: bytes) -> bytes:
    return bytes(write_var_uint(len(data))) + data


def sync(kind: int, payload: bytes) -> bytes:
    """Return a sync message of any kind."""
    return bytes((0, kind)) + _chunk(payload)


def step1(state: bytes = b"\0") -> bytes:
    """Ask for what a document of that state vector lacks, by default for all."""
    return sync(0, state)


def step2(payload: bytes) -> bytes:
    """Answer a step 1."""
    return sync(1, payload)


def update(payload: bytes) -> bytes:
    """Return a frame with an update."""
    return sync(2, payload)


def presence(*states: tuple[int, int, bytes]) -> bytes:
    """Return a frame with client ids, each with a clock and a state in JSON."""
    parts = [bytes(write_var_uint(len(states)))]
    for client_id, clock, state in states:
        parts += [bytes(write_var_uint(client_id)), bytes(write_var_uint(clock)), _chunk(state)]
    return b"\1" + _chunk(b"".join(parts))


# Updates.


def real_updates(random: Random) -> list[bytes]:
    """Return the updates of a document that was written at random, with all kinds of content."""
    doc: Doc[Any] = Doc(client_id=random.randrange(1, 2**31))
    updates: list[bytes] = []

    def note(event: TransactionEvent) -> None:
        updates.append(event.update)

    subscription = doc.observe(note)
    text, items = doc.get("attack", type=Text), doc.get("items", type=Array)
    values, page = doc.get("values", type=Map), doc.get("page", type=XmlFragment)
    for number in range(30):
        match random.randrange(8):
            case 0 | 1:
                text.insert(random.randint(0, len(text)), random.choice(["a", "bc", "x" * 20]))
            case 2 if len(text):
                del text[0 : random.randint(1, len(text))]
            case 3 if len(text):
                text.format(0, len(text), {"bold": random.choice([True, None])})
            case 4:
                values[f"key {number % 3}"] = random.choice(
                    [1, 2.5, None, True, "é", [1, {"a": 2}]]
                )
            case 5:
                values[f"nested {number % 3}"] = Map({"list": Array([1, Text("deep")])})
            case 6:
                items.append(random.choice([1, "s", {"a": [None]}]))
            case 7:
                page.children.append(XmlElement("p", {"a": "1"}, [XmlText("paragraph")]))
    updates.append(doc.get_update())
    doc.unobserve(subscription)
    return updates


def mutated(random: Random, data: bytes) -> bytes:
    """Return ``data`` with one to three bytes changed, lost, added or copied, or cut off."""
    result = bytearray(data)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(result))
        match random.randrange(6):
            case 0:
                result[at] ^= 1 << random.randrange(8)
            case 1:
                result[at] = random.randrange(256)
            case 2 if len(result) > 1:
                del result[at]
            case 3:
                result.insert(at, random.randrange(256))
            case 4:
                start = random.randrange(len(result))
                result[at : at + 4] = result[start : start + 4]
            case 5 if at:
                del result[at:]
    return bytes(result)


def mutations(random: Random) -> Iterator[bytes]:
    """Generate mutated updates for ever, those of few documents, so that they build on others."""
    documents = [real_updates(random) for _ in range(10)]
    while True:
        yield mutated(random, random.choice(random.choice(documents)))


def held_back(random: Random) -> Iterator[bytes]:
    """Generate updates for ever that build on missing ones, overlap and contradict others."""
    while True:
        client_id = random.randrange(1, 2**31)
        documents = [_appended(random, client_id) for _ in range(2)]
        for _ in range(20):
            updates = random.choice(documents)
            yield merge_updates(*random.sample(updates, random.randint(1, 4)))


def _appended(random: Random, client_id: int) -> list[bytes]:
    doc: Doc[Any] = Doc(client_id=client_id)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    text, items = doc.get("attack", type=Text), doc.get("items", type=Array)
    for number in range(10):
        match random.randrange(4):
            case 0:
                text.insert(len(text), random.choice(["a", "bc", "x" * 20]))
            case 1:
                doc.get("values", type=Map)["key"] = number
            case 2:
                items.append(random.choice([1, "s", {"a": [None]}]))
            case 3 if len(text):
                del text[0 : random.randint(1, len(text))]
    doc.unobserve(subscription)
    return [*updates, doc.get_update(), updates[0], updates[-1]]


# Connections.


def open_connection(server: Server, room: str = "room", **options: Any) -> connect:
    """Connect without any protocol of Yjs; what the server sends is kept and not looked at."""
    defaults = {
        "compression": None,
        "max_queue": None,
        "max_size": None,
        "ping_interval": None,
        "proxy": None,
    }
    return connect(server.url(room), **{**defaults, **options})


async def strike(server: Server, frames: Iterable[bytes | str], room: str = "room") -> int | None:
    """Send ``frames``; return the close code, or None if the server goes on to answer."""
    async with open_connection(server, room) as connection:
        try:
            for frame in frames:
                await connection.send(frame)
            await _be_answered(connection)
        except ConnectionClosed:
            return connection.close_code
    return None


async def strike_each(server: Server, frames: Iterable[bytes | str], room: str = "room") -> int:
    """Send each of ``frames``, on a new connection whenever the server closes one with 1008.

    Returns:
        how many it closed.
    """
    left, closed = iter(frames), -1
    while frame := next(left, None):
        closed += 1
        async with open_connection(server, room) as connection:
            with suppress(ConnectionClosed):
                for following in chain([frame], left):
                    await connection.send(following)
                    await _be_answered(connection)
        assert connection.close_code in (1000, 1008)
    return closed


async def _be_answered(connection: ClientConnection) -> None:
    # What a frame does may come to light at the end of the turn in which it was received, and
    # the first request may still be answered in that turn.
    for _ in range(2):
        await connection.send(HELLO)
        while True:
            message = await connection.recv()
            if isinstance(message, str) and json.loads(message)["action"] == "hello":
                break
