"""A client of Hocuspocus in the process of the test: one connection, and documents on it.

It knows the wire format and nothing of the server's code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any, Self

from pycrdt import (
    Awareness,
    Decoder,
    Doc,
    Encoder,
    Text,
    TransactionEvent,
    create_sync_message,
    create_update_message,
    handle_sync_message,
)

from tests.harness.waiting import DEADLINE

__all__ = ["Client", "Document", "application_of", "text_of"]

SYNC, AWARENESS, AUTH, QUERY, REPLY, STATELESS, BROADCAST, CLOSE, STATUS = range(9)
TOKEN, DENIED, AUTHENTICATED = range(3)


def application_of(consumer: Any) -> Any:
    """Return what a server runs: it reads nothing of the path."""
    return consumer.as_asgi()


def text_of(doc: Doc[Any]) -> str:
    return str(doc.get("text", type=Text))


def encoded(*parts: int | str | bytes) -> bytes:
    """Encode numbers, texts, and bytes as they are."""
    result = b""
    for part in parts:
        if isinstance(part, bytes):
            result += part
        elif isinstance(part, int):
            result += _number(part)
        else:
            # pycrdt's own way to write a text counts its letters.
            result += _number(len(part.encode())) + part.encode()
    return result


def _number(value: int) -> bytes:
    encoder = Encoder()
    encoder.write_var_uint(value)
    return encoder.to_bytes()


class Client:
    """A connection.

    Args:
        application: of the server.
        scope: further keys, such as the user.
    """

    def __init__(self, application: Any, **scope: Any) -> None:
        self._application = application
        self._scope = {
            "type": "websocket",
            "path": "/",
            "query_string": b"",
            "headers": [],
            "subprotocols": [],
            **scope,
        }
        self._input: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._readable = asyncio.Event()
        self._readable.set()
        self._changed = asyncio.Event()
        self._serving: asyncio.Future[None] | None = None
        #: Frames as they came.
        self.frames: list[bytes] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self.documents: dict[str, Document] = {}

    async def __aenter__(self) -> Self:
        serving = self._application(self._scope, self._input.get, self._receive)
        self._serving = Context().run(asyncio.ensure_future, serving)
        self._input.put_nowait({"type": "websocket.connect"})
        return self

    async def __aexit__(self, *error: object) -> None:
        self._readable.set()
        self._input.put_nowait({"type": "websocket.disconnect", "code": 1000})
        assert self._serving is not None
        async with asyncio.timeout(DEADLINE):
            await self._serving

    def document(self, address: str, doc: Doc[Any] | None = None) -> Document:
        """Return a document of this connection that is not attached yet."""
        self.documents[address] = Document(self, address, doc)
        return self.documents[address]

    def send(self, frame: bytes | str) -> None:
        """Send a frame, valid or not."""
        key = "bytes" if isinstance(frame, bytes) else "text"
        self._input.put_nowait({"type": "websocket.receive", key: frame})

    def pause(self) -> None:
        """Read no more."""
        self._readable.clear()

    def resume(self) -> None:
        """Read on."""
        self._readable.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until ``condition()`` is true."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await self._changed.wait()
                self._changed.clear()

    async def closed(self) -> int:
        """Wait until the server ends the connection, and return its code."""
        await self.until(lambda: self.close_code is not None)
        assert self.close_code is not None
        return self.close_code

    async def _receive(self, message: dict[str, Any]) -> None:
        await self._readable.wait()
        if message["type"] == "websocket.close":
            self.close_code, self.close_reason = message["code"], message.get("reason", "")
        elif message["type"] == "websocket.send":
            frame = message["bytes"]
            self.frames.append(frame)
            if len(frame) > 1:
                decoder = Decoder(frame)
                address = decoder.read_var_string()
                if address in self.documents:
                    self.documents[address].receive(frame[len(encoded(address)) :])
        self._changed.set()


class Document:
    """A document on a connection.

    Args:
        client: the connection.
        address: of the document on it.
        doc: what the client has of it.
    """

    def __init__(self, client: Client, address: str, doc: Doc[Any] | None = None) -> None:
        self.client = client
        self.address = address
        self.doc: Doc[Any] = Doc() if doc is None else doc
        self.awareness = Awareness(self.doc)
        self.scopes: list[str] = []
        self.refusals: list[str] = []
        self.closes: list[str] = []
        self.statuses: list[int] = []
        self.stateless: list[str] = []
        self.token_requests = 0
        self.synced = False
        self._receiving = False
        self.doc.observe(self._changed)

    def attach(self, token: str = "writer", version: str | None = "4.8.0") -> None:
        """Send a token, and ask for the document, without waiting."""
        self.send_token(token, version)
        self.send(create_sync_message(self.doc))

    def send_token(self, token: str, version: str | None = "4.8.0") -> None:
        self.send(encoded(AUTH, TOKEN, token, *([] if version is None else [version])))

    def detach(self) -> None:
        self.send(encoded(CLOSE))

    def write(self, text: str) -> None:
        """Write at the end, which is sent."""
        root = self.doc.get("text", type=Text)
        root.insert(len(root), text)

    @property
    def text(self) -> str:
        return text_of(self.doc)

    @property
    def scope(self) -> str | None:
        """The latest access that the server reported."""
        return self.scopes[-1] if self.scopes else None

    @property
    def presence(self) -> dict[int, dict[str, Any]]:
        return self.awareness.states

    def set_presence(self, state: dict[str, Any] | None) -> None:
        self.awareness.set_local_state(state)
        states = self.awareness.encode_awareness_update([self.doc.client_id])
        self.send(encoded(AWARENESS, len(states), states))

    def send(self, message: bytes) -> None:
        """Send a message behind the address."""
        self.client.send(encoded(self.address) + message)

    async def until(self, condition: Callable[[], object]) -> None:
        await self.client.until(condition)

    def _changed(self, event: TransactionEvent) -> None:
        if not self._receiving:
            self.send(create_update_message(event.update))

    def receive(self, message: bytes) -> None:
        """Handle a message of the server."""
        decoder = Decoder(message)
        kind = decoder.read_var_uint()
        if kind == SYNC:
            self._receive_sync(message[1:])
        elif kind == AWARENESS:
            payload = decoder.read_message()
            assert payload is not None
            self.awareness.apply_awareness_update(payload, "server")
        elif kind == AUTH:
            self._receive_auth(decoder)
        elif kind == STATELESS:
            self.stateless.append(decoder.read_var_string())
        elif kind == CLOSE:
            self.closes.append(decoder.read_var_string())
            self.synced = False
        elif kind == STATUS:
            self.statuses.append(decoder.read_var_uint())
        else:
            raise AssertionError(f"unknown type {kind}")

    def _receive_sync(self, message: bytes) -> None:
        self._receiving = True
        try:
            reply = handle_sync_message(message, self.doc)
        finally:
            self._receiving = False
        self.synced = self.synced or message[0] == 1
        if reply is not None:
            self.send(reply)

    def _receive_auth(self, decoder: Decoder) -> None:
        kind = decoder.read_var_uint()
        if kind == TOKEN:
            self.token_requests += 1
        elif kind == DENIED:
            self.refusals.append(decoder.read_var_string())
        else:
            self.scopes.append(decoder.read_var_string())
