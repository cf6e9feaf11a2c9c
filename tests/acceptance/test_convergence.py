"""Whatever several people write at once, connected or not, all end up with the same (I1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import StartServer
from tests.harness.server import Server

#: So small that each of them comes into play.
SMALL = {"COMPACT_AFTER": 10, "UNLOAD_DELAY": 0, "MAX_MEMBER_BACKLOG": 2_000, "WRITE_DELAY": 0}

STEPS = 120


def content(doc: Doc[Any]) -> tuple[Any, ...]:
    """Return all that the tests write."""
    return (
        doc.get("text", type=Text).diff(),
        doc.get("map", type=Map).to_py(),
        doc.get("list", type=Array).to_py(),
        str(doc.get("page", type=XmlFragment)),
    )


def write_at_random(doc: Doc[Any], random: Random) -> None:
    """Make one change."""
    match random.randrange(6):
        case 0 | 1:
            edit_text(doc.get("text", type=Text), random)
        case 2:
            edit_map(doc.get("map", type=Map), random)
        case 3:
            edit_list(doc.get("list", type=Array), random)
        case 4 | 5:
            edit_page(doc.get("page", type=XmlFragment), random)


def edit_text(text: Text, random: Random) -> None:
    start = random.randint(0, len(text))
    end = random.randint(start, min(len(text), start + 5))
    match random.randrange(4):
        case 0 if end > start:
            del text[start:end]
        case 1 if end > start:
            text.format(start, end, {"bold": random.choice([True, None])})
        case _:
            text.insert(start, random.choice(["a", "word ", "\n"]))


def edit_map(values: Map[Any], random: Random) -> None:
    key = random.choice("abcde")
    match random.randrange(4):
        case 0 if key in values:
            del values[key]
        case 1:
            values[key] = Map({"inner": Array([1, Text("deep")])})
        case _:
            values[key] = random.choice([1, None, "é\U0001f40d", {"x": [1.5]}])


def edit_list(items: Array[Any], random: Random) -> None:
    if len(items) and random.random() < 0.4:
        del items[random.randrange(len(items))]
    else:
        items.insert(random.randint(0, len(items)), random.choice([1, "s", {"a": None}, True]))


def edit_page(page: XmlFragment, random: Random) -> None:
    paragraphs = page.children
    match random.randrange(4):
        case 0 if len(paragraphs):
            del paragraphs[random.randrange(len(paragraphs))]
        case 1 if len(paragraphs):
            paragraph = paragraphs[random.randrange(len(paragraphs))]
            assert isinstance(paragraph, XmlElement)
            text = paragraph.children[0]
            assert isinstance(text, XmlText)
            text.insert(random.randint(0, len(text)), "word ")
        case _:
            at = random.randint(0, len(paragraphs))
            paragraphs.insert(at, XmlElement("p", {"class": "x"}, [XmlText("text")]))


async def take_part(client: YjsClient, random: Random) -> None:
    """Write at random, leave and come back at random, and be connected at the end."""
    for _ in range(STEPS):
        match random.randrange(20):
            case 0 if client.connected:
                await client.disconnect()
            case 1 if client.connected:
                await client.abort()
            case 2 | 3 if not client.connected:
                await client.connect()
            case 4 | 5 if client.connected:
                await client.hello()
            case _:
                async with client.edit() as doc:
                    for _ in range(random.choice([1, 1, 1, 5])):
                        write_at_random(doc, random)
        # The others' turn.
        await asyncio.sleep(0)
    if not client.connected:
        await client.connect()


async def converged(clients: Sequence[YjsClient]) -> tuple[Any, ...]:
    """Wait until all have the same, and the server has stored what each has sent."""
    for client in clients:
        await client.hello()
    await wait_until(lambda: all(client.saved == client.sent for client in clients), *clients)
    first, *others = clients
    await wait_until(
        lambda: all(content(other.doc) == content(first.doc) for other in others), *clients
    )
    return content(first.doc)


async def stored(server: Server, room: str) -> tuple[Any, ...]:
    """Return what one who comes now gets."""
    async with server.client(room) as client:
        return content(client.doc)


async def write_together(server: Server, seed: int) -> tuple[Any, ...]:
    """Run three to five people who write in a room of their own; return what they end up with."""
    random = Random(seed)
    clients = [server.client(f"room {seed}") for _ in range(random.randint(3, 5))]
    for client in clients:
        await client.connect()
    try:
        await asyncio.gather(
            *(take_part(client, Random(seed * 10 + i)) for i, client in enumerate(clients))
        )
        return await converged(clients)
    finally:
        for client in clients:
            await client.disconnect()


@pytest.mark.parametrize("seeds", [range(5), range(5, 10)])
async def test_all_end_up_with_the_same(
    database: str, start_server: StartServer, seeds: range
) -> None:
    server = start_server(database, collab=SMALL)
    results = await asyncio.gather(*(write_together(server, seed) for seed in seeds))
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    assert [await stored(server, f"room {seed}") for seed in seeds] == results
