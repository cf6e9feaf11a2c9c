"""The memory of hostile documents comes back when they are closed (I8)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from channels.layers import channel_layers
from channels.routing import URLRouter
from django.test import override_settings
from django.urls import path
from pycrdt import (
    Doc,
    Map,
    Text,
    XmlElement,
    XmlFragment,
    XmlText,
    create_update_message,
)

from collab import documents
from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.testing import close_rooms
from collab_storage.memory import MemoryStorage
from tests.harness.communicator import Communicator
from tests.harness.waiting import until
from tests.protocol.yjs import poison
from tests.storage.test_subdocuments import memory

#: Visits before, and while, the memory is compared, and how much may stay of all of these. Of a
#: document that is not freed some hundred KiB stay.
FIRST, MORE, MOST = 5, 25, 5 * 1024 * 1024

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])


@pytest.fixture(autouse=True)
async def _storage() -> AsyncIterator[None]:
    storage = {"BACKEND": f"{MemoryStorage.__module__}.MemoryStorage"}
    with override_settings(
        COLLAB={
            "DEFAULT_ACCESS": "write",
            "STORAGE": storage,
            "UNLOAD_DELAY": 0.001,
            "BYTE_RATE": 1 << 30,
            "MESSAGE_RATE": 1e6,
        }
    ):
        channel_layers.backends.clear()
        yield
        await close_rooms()


def made_by(change: Callable[[Doc[Any]], None]) -> list[bytes]:
    """Return the frame of a client that has changed an empty document."""
    doc: Doc[Any] = Doc()
    with doc.transaction():
        doc.get("text", type=Text).insert(0, "a" * 4_000)
        change(doc)
    return [create_update_message(doc.get_update())]


def many_formats(doc: Doc[Any]) -> None:
    for number in range(2_000):
        doc.get("text", type=Text).format(number, number + 1, {f"f{number % 7}": number})


def huge_deletions(doc: Doc[Any]) -> None:
    text, random = doc.get("text", type=Text), Random(1)
    for _ in range(3_000):
        text.insert(random.randrange(len(text)), "b")
    for _ in range(2_000):
        del text[random.randrange(len(text))]


def xml(doc: Doc[Any]) -> None:
    root = doc.get("xml", type=XmlFragment)
    for number in range(600):
        root.children.append(XmlElement("p", {f"a{number}": "b"}, [XmlText("c"), XmlElement("q")]))


def subdocuments(doc: Doc[Any]) -> None:
    huge_deletions(doc)
    for number in range(20):
        doc.get("map", type=Map)[f"{number}"] = Doc()


def pending() -> list[bytes]:
    """Return frames that build upon letters which never come."""
    doc: Doc[Any] = Doc()
    text, frames = doc.get("text", type=Text), []
    for number in range(900):
        before = doc.get_state()
        text.insert(len(text), "x" * 1_000)
        if number % 2:
            frames.append(create_update_message(doc.get_update(before)))
    return frames


def nested() -> list[bytes]:
    """Return chains of types inside each other, as deep as a document may have them."""
    kinds = ["map", "list", "xml"]
    chains = [poison.nested(400, kinds[client % 3], client=client) for client in range(2, 14)]
    return [create_update_message(chain) for chain in chains]


KINDS: dict[str, Callable[[], list[bytes]]] = {
    "types inside each other": nested,
    "many formats": lambda: made_by(many_formats),
    "huge deletions": lambda: made_by(huge_deletions),
    "pending updates": pending,
    "XML": lambda: made_by(xml),
    "subdocuments": lambda: made_by(subdocuments),
    # The room makes its document anew.
    "an update that panics": lambda: [*made_by(xml), create_update_message(poison.PANICKING)],
    "an update that breaks the document": lambda: [
        *made_by(xml),
        create_update_message(poison.POISONING),
    ],
}


async def visit(frames: list[bytes]) -> None:
    """Connect a hostile client, then one that reads and edits the document, and delete it."""
    for each in (frames, made_by(lambda doc: None)):
        client = Communicator(application, "ws/hostile")
        await client.connect()
        for frame in each:
            await client.send_to(bytes_data=frame)
        await client.disconnect()
        await until(lambda: not current_hub().rooms)
    await documents.adelete("hostile")


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells the memory.")
@pytest.mark.parametrize("kind", KINDS)
async def test_the_memory_of_hostile_documents_comes_back(kind: str) -> None:
    frames = KINDS[kind]()
    for _ in range(FIRST):
        await visit(frames)
    before = memory()
    for _ in range(MORE):
        await visit(frames)
    assert memory() - before < MOST
