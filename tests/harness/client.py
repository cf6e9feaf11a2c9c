"""A Yjs client for tests.

It knows the wire format and nothing of the server's code, so that no error is made on both sides.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self
from urllib.parse import urlsplit

from pycrdt import (
    Awareness,
    Decoder,
    Doc,
    Text,
    TransactionEvent,
    YMessageType,
    YSyncMessageType,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    handle_sync_message,
    read_message,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from .waiting import DEADLINE

__all__ = ["YjsClient", "wait_until"]

AUTH = 2
QUERY_AWARENESS = 3


async def wait_until(
    predicate: Callable[[], object], *clients: YjsClient, within: float = DEADLINE
) -> None:
    """Return as soon as ``predicate()`` holds; it is tried whenever one of ``clients`` changes.

    Raises:
        AssertionError: it does not hold ``within`` so many seconds.
        Exception: a client could not make sense of what it received.
    """
    changed = asyncio.Event()
    for client in clients:
        client.listeners.append(changed.set)
    try:
        async with asyncio.timeout(within):
            while not predicate():
                _raise_failures(clients)
                await changed.wait()
                changed.clear()
    except TimeoutError:
        raise AssertionError(f"not within {within} s: {clients}") from None
    finally:
        for client in clients:
            client.listeners.remove(changed.set)


def _raise_failures(clients: Sequence[YjsClient]) -> None:
    for client in clients:
        if client.failure is not None:
            raise client.failure


class YjsClient:
    """One connection at a time of one document, as a program of its own would have it.

    Args:
        url: of the room, ``ws://...``.
        doc: the document to start with; an empty one by default.
        subprotocols: what the client offers; CollabProvider offers ``collab``.
        headers: of the request that opens the connection.
        receive_buffer: bytes that the kernel keeps for a client that does not read.
    """

    def __init__(
        self,
        url: str,
        *,
        doc: Doc[Any] | None = None,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        self.url = url
        self.doc: Doc[Any] = Doc() if doc is None else doc
        self.awareness = Awareness(self.doc)
        self.awareness.set_local_state(None)
        #: Called after every change, local or received.
        self.listeners: list[Callable[[], None]] = []
        #: What the reader stumbled over, if it did.
        self.failure: Exception | None = None
        #: The reason in the last "permission denied" frame.
        self.denied: str | None = None
        #: JSON frames that answered no request.
        self.pushes: list[dict[str, Any]] = []
        self._subprotocols = [Subprotocol(name) for name in subprotocols]
        self._headers = headers
        self._receive_buffer = receive_buffer
        self._reading = asyncio.Event()
        self._reading.set()
        self._replies: dict[int, dict[str, Any]] = {}
        self._last_request = 0
        self._reader: asyncio.Task[None] | None = None
        self._start_afresh()

    def _start_afresh(self) -> None:
        # Until there is another, nothing is sent, nor counted as sent.
        self._connection: ClientConnection | None = None
        #: The server has answered the first sync step of this connection.
        self.synced = False
        #: Update frames sent on this connection, and how many of them the server says are stored.
        self.sent = 0
        self.saved = 0
        #: "read" or "write", once the server has said so.
        self.access: str | None = None
        #: How the connection ended, once it has.
        self.close_code: int | None = None
        self.close_reason: str | None = None

    def __repr__(self) -> str:
        return (
            f"<YjsClient {self.url} synced={self.synced} sent={self.sent} saved={self.saved}"
            f" close_code={self.close_code} text={self.text[:80]!r}>"
        )

    # Connecting

    async def __aenter__(self) -> Self:
        await self.connect()
        await self.wait_until(lambda: self.synced or self.close_code is not None)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.resume()
        await self.disconnect()
        _raise_failures([self])

    async def connect(self) -> None:
        """Open a connection and begin to synchronize; also after an earlier one has ended.

        A server may close it before the first frame is sent: ``close_code`` says so then.

        Raises:
            InvalidStatus: the server refused (from ``websockets.exceptions``).
        """
        self._start_afresh()
        self._connection = await connect(
            self.url,
            additional_headers=self._headers,
            subprotocols=self._subprotocols or None,
            compression=None,
            max_size=None,
            max_queue=1,
            ping_interval=None,
            proxy=None,
            sock=await self._socket(),
        )
        self._reader = asyncio.create_task(self._read(self._connection))
        with suppress(ConnectionClosed):
            await self.send(create_sync_message(self.doc))
            if self.awareness.get_local_state() is not None:
                await self._send_presence()

    async def _socket(self) -> socket.socket | None:
        if self._receive_buffer is None:
            return None
        address = urlsplit(self.url)
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, (address.hostname, address.port))
        return sock

    async def disconnect(self) -> None:
        """Close the connection properly."""
        await self.connection.close()
        await self.wait_closed()

    async def abort(self) -> None:
        """Drop the connection without a word, as a machine does that loses its power."""
        self.connection.transport.abort()
        await self.wait_closed()

    async def wait_closed(self) -> int:
        """Wait for the end of the connection and return the close code."""
        await self.wait_until(lambda: self.close_code is not None)
        assert self.close_code is not None
        return self.close_code

    @property
    def connection(self) -> ClientConnection:
        """The connection of websockets, for what the client has no method for."""
        assert self._connection is not None, "connect() first"
        return self._connection

    # Editing

    @asynccontextmanager
    async def edit(self) -> AsyncIterator[Doc[Any]]:
        """Change the document in one transaction, and send the update if connected."""
        updates: list[bytes] = []

        def note(event: TransactionEvent) -> None:
            updates.append(event.update)

        subscription = self.doc.observe(note)
        try:
            with self.doc.transaction():
                yield self.doc
        finally:
            self.doc.unobserve(subscription)
        self._notify()
        if self.connected:
            for update in updates:
                await self.send_update(update)

    @property
    def text(self) -> str:
        """The content of the root text named "text"."""
        return str(self.doc.get("text", type=Text))

    async def insert(self, text: str, at: int | None = None) -> None:
        """Insert into the root text named "text", at its end by default."""
        async with self.edit() as doc:
            root = doc.get("text", type=Text)
            root.insert(len(root) if at is None else at, text)

    async def send_update(self, update: bytes) -> None:
        """Send ``update`` without applying it here."""
        self.sent += 1
        await self.send(create_update_message(update))

    async def wait_saved(self) -> None:
        """Wait until the server says that all that was sent is stored; needs ``hello`` before."""
        await self.wait_until(lambda: self.saved >= self.sent)

    # Presence

    @property
    def presence(self) -> dict[int, dict[str, Any]]:
        """The states of all who are present, this client included, by client id."""
        return self.awareness.states

    async def set_presence(self, state: dict[str, Any] | None) -> None:
        """Send this client's state to the others; ``None`` removes it."""
        self.awareness.set_local_state(state)
        await self._send_presence()

    async def _send_presence(self) -> None:
        update = self.awareness.encode_awareness_update([self.doc.client_id])
        await self.send(create_awareness_message(update))

    # Any frame

    @property
    def connected(self) -> bool:
        """The connection is open as far as this side knows."""
        return self._connection is not None and self.close_code is None

    async def send(self, frame: bytes | str) -> None:
        """Send ``frame`` as it is, however wrong."""
        await self.connection.send(frame)

    async def request(self, action: str, **fields: Any) -> dict[str, Any]:
        """Send a JSON request and return the reply to it.

        Raises:
            ConnectionError: the connection has ended before that.
        """
        self._last_request += 1
        number = self._last_request
        await self.send(json.dumps({"action": action, "request_id": number, **fields}))
        await self.wait_until(lambda: number in self._replies or not self.connected)
        if number not in self._replies:
            raise ConnectionError(f"closed with {self.close_code}, and no reply to {action!r}")
        return self._replies.pop(number)

    async def hello(self) -> dict[str, Any]:
        """Ask for acknowledgements, and return what the server says of itself."""
        reply = await self.request("hello")
        self.access = reply["data"]["access"]
        data: dict[str, Any] = reply["data"]
        return data

    def pause(self) -> None:
        """Read nothing more, so that all buffers up to the server fill up."""
        self._reading.clear()

    def resume(self) -> None:
        """Read again."""
        self._reading.set()

    async def wait_until(
        self, predicate: Callable[[], object], *, within: float = DEADLINE
    ) -> None:
        """See :func:`wait_until`."""
        await wait_until(predicate, self, within=within)

    # Receiving

    async def _read(self, connection: ClientConnection) -> None:
        try:
            while True:
                frame = await connection.recv()
                # A frame that was already on its way when ``pause`` was called waits here.
                await self._reading.wait()
                await self._receive(frame)
                self._notify()
        except ConnectionClosed:
            self.close_code = connection.close_code
            self.close_reason = connection.close_reason
        except Exception as error:
            self.failure = error
        self._notify()

    async def _receive(self, frame: bytes | str) -> None:
        if isinstance(frame, str):
            self._receive_json(json.loads(frame))
        elif frame[0] == YMessageType.SYNC:
            await self._receive_sync(frame[1:])
        elif frame[0] == YMessageType.AWARENESS:
            await self._receive_presence(read_message(frame[1:]))
        elif frame[0] == AUTH:
            self._receive_denial(frame[1:])
        elif frame[0] == QUERY_AWARENESS:
            await self._send_presence()
        else:
            raise AssertionError(f"unknown message type {frame[0]}")

    async def _receive_presence(self, update: bytes) -> None:
        before = self._clock
        self.awareness.apply_awareness_update(update, "remote")
        if self._clock != before:
            # It has heard that it is gone, and says that it is not.
            await self._send_presence()

    @property
    def _clock(self) -> object:
        return self.awareness.meta[self.awareness.client_id]["clock"]

    async def _receive_sync(self, message: bytes) -> None:
        reply = handle_sync_message(message, self.doc)
        if message[0] == YSyncMessageType.SYNC_STEP2:
            self.synced = True
        if reply is not None:
            self.sent += 1
            await self.send(reply)

    def _receive_denial(self, message: bytes) -> None:
        decoder = Decoder(message)
        assert decoder.read_var_uint() == 0, "only 'permission denied' is known"
        self.denied = decoder.read_var_string()

    def _receive_json(self, message: dict[str, Any]) -> None:
        request_id = message.get("request_id")
        if request_id is not None:
            self._replies[request_id] = message
            return
        self.pushes.append(message)
        if message["action"] == "saved":
            self.saved = message["data"]["count"]
        elif message["action"] == "access":
            self.access = message["data"]["access"]

    def _notify(self) -> None:
        for listener in list(self.listeners):
            listener()
