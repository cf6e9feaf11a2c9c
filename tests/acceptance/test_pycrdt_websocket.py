"""pycrdt-websocket beside a real server: its clients, its rooms in front of ours, its store."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Channel, Doc, Map, Provider, Text, TransactionEvent
from pycrdt.store import FileYStore, SQLiteYStore
from pycrdt.websocket import WebsocketServer, YRoom
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.harness.client import YjsClient
from tests.harness.server import Server
from tests.harness.waiting import DEADLINE, until


class Socket(Channel):
    """A channel of pycrdt over a connection of websockets."""

    def __init__(self, connection: ClientConnection | ServerConnection, path: str) -> None:
        self._connection = connection
        self._path = path

    @property
    def path(self) -> str:
        return self._path

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    async def send(self, message: bytes) -> None:
        await self._connection.send(message)

    async def recv(self) -> bytes:
        frame = await self._connection.recv()
        assert isinstance(frame, bytes)
        return frame


@asynccontextmanager
async def provided(url: str, doc: Doc[Any]) -> AsyncIterator[None]:
    """Keep ``doc`` equal to the document of the room at ``url``."""
    async with (
        connect(url, proxy=None) as connection,
        Provider(doc, Socket(connection, url)) as provider,
    ):
        async with asyncio.timeout(DEADLINE):
            await provider.synced.wait()
        yield


def text_of(doc: Doc[Any]) -> str:
    return str(doc.get("text", type=Text))


async def test_providers_of_pycrdt_edit_together_with_other_clients(server: Server) -> None:
    ann, bob = Doc[Any](), Doc[Any]()
    url = server.url("room")
    async with provided(url, ann), provided(url, bob), server.client("room") as yjs:
        ann.get("text", type=Text).insert(0, "from a provider")
        await until(lambda: text_of(bob) == yjs.text == "from a provider")
        await yjs.insert(", and back")
        await until(lambda: text_of(ann) == text_of(bob) == "from a provider, and back")
        bob["map"] = Map({"key": "value"})
        await until(lambda: yjs.doc.get("map", type=Map).to_py() == {"key": "value"})
    assert server.errors == []


async def test_a_provider_finds_the_document_as_others_left_it(server: Server) -> None:
    async with server.client("room") as yjs:
        await yjs.hello()
        await yjs.insert("left here")
        await yjs.wait_saved()
    await asyncio.to_thread(server.restart)
    doc: Doc[Any] = Doc()
    async with provided(server.url("room"), doc):
        assert text_of(doc) == "left here"


async def test_updates_do_not_return_to_the_provider_that_sent_them(server: Server) -> None:
    events: list[TransactionEvent] = []
    ann: Doc[Any] = Doc()
    async with provided(server.url("room"), ann), server.client("room") as other:
        ann.observe(events.append)
        ann.get("text", type=Text).insert(0, "once")
        await other.wait_until(lambda: other.text == "once")
        await other.insert(" more")
        await until(lambda: text_of(ann) == "once more")
        assert len(events) == 2


def chained(server: Server) -> WebsocketServer:
    """Return rooms of pycrdt-websocket, each kept equal to the room of ours of its name."""

    def provider_factory(
        doc: Doc[Any] | None = None, log: object = None, path: str | None = None
    ) -> Any:
        assert doc is not None and path is not None
        return provided(server.url(path), doc)

    return WebsocketServer(auto_clean_rooms=False, provider_factory=provider_factory)


async def test_rooms_of_pycrdt_websocket_are_kept_equal_to_ours(server: Server) -> None:
    async with server.client("room") as ours, chained(server) as rooms:
        await ours.insert("of ours")
        room: YRoom = await rooms.get_room("room")
        await until(lambda: text_of(room.ydoc) == "of ours")
        room.ydoc.get("text", type=Text).insert(0, "of theirs, ")
        await ours.wait_until(lambda: ours.text == "of theirs, of ours")
        other = await rooms.get_room("another")
        other.ydoc.get("text", type=Text).insert(0, "apart")
        async with server.client("another") as client:
            await client.wait_until(lambda: client.text == "apart")
        assert text_of(room.ydoc) == ours.text == "of theirs, of ours"


def written(texts: list[str]) -> list[bytes]:
    """Return the updates of a document that was typed piece by piece."""
    updates: list[bytes] = []
    doc: Doc[Any] = Doc()
    doc.observe(lambda event: updates.append(event.update))
    for text in texts:
        root = doc.get("text", type=Text)
        root.insert(len(root), text)
    return updates


CARRY_OVER = """
    import asyncio

    from pycrdt import Doc
    from pycrdt.store import FileYStore, SQLiteYStore

    from collab import documents

    async def carry_over(store, name):
        doc = Doc()
        async with store:
            async for update, *_ in store.read():
                doc.apply_update(update)
        await documents.asend_doc_update(name, doc.get_update())

    SQLiteYStore.db_path = {database!r}
    for _ in range(2):
        asyncio.run(carry_over(SQLiteYStore("notes/1"), "notes/1"))
        asyncio.run(carry_over(FileYStore({file!r}), "notes/2"))
"""


@pytest.mark.parametrize("checkpoints", [None, 2])
async def test_documents_of_pycrdt_store_are_carried_over_once(
    server: Server, tmp_path: Path, checkpoints: int | None
) -> None:
    database, file = str(tmp_path / "old.db"), str(tmp_path / "old.y")

    class OldStore(SQLiteYStore):
        db_path = database
        checkpoint_interval = checkpoints

    updates = written(["typed ", "piece ", "by ", "piece ", "😀"])
    for store in (OldStore("notes/1"), FileYStore(file)):
        async with store:
            for update in updates:
                await store.write(update)
    with sqlite3.connect(database) as connection:
        stored = "SELECT DISTINCT path FROM yupdates"
        assert connection.execute(stored).fetchall() == [("notes/1",)]
    connection.close()
    # Members that have a document open see it arrive.
    async with server.client("notes/1") as client:
        code = CARRY_OVER.format(database=database, file=file)
        await asyncio.to_thread(server.run_code, code)
        await client.wait_until(lambda: client.text == "typed piece by piece 😀")
    for name in ("notes/1", "notes/2"):
        async with server.client(name) as later:
            assert later.text == "typed piece by piece 😀"


@asynccontextmanager
async def served(rooms: WebsocketServer) -> AsyncIterator[str]:
    """Serve ``rooms`` to websockets, and yield the address."""

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        await rooms.serve(Socket(connection, connection.request.path.removeprefix("/")))

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_clients_of_their_rooms_and_of_ours_edit_one_document(server: Server) -> None:
    async with (
        chained(server) as rooms,
        served(rooms) as address,
        YjsClient(f"{address}/room") as theirs,
        server.client("room") as ours,
    ):
        await theirs.insert("typed there")
        await ours.wait_until(lambda: ours.text == "typed there")
        await ours.insert(", and here")
        await theirs.wait_until(lambda: theirs.text == "typed there, and here")
