"""A Yjs client and a storage for the tests of projects that use the app.

::

    with use_memory_storage():
        async with connect(application, "/ws/notes", user=ann) as client:
            client.doc.get("text", type=Text).insert(0, "Hello")
            await client.wait_saved()

The documents of :class:`~collab_storage.orm.ORMStorage` are read and written on database
connections of their own, which do not see the uncommitted data of a ``TestCase``. So tests of live
rooms use either the memory storage or a ``TransactionTestCase``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import channels.db
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections
from django.test import override_settings
from pycrdt import (
    Awareness,
    Doc,
    Subscription,
    TransactionEvent,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    handle_sync_message,
    read_message,
)

from collab.conf import get_storage
from collab.documents.hooks.calling import close_old_connections
from collab.engine.connections.routes import routes
from collab.engine.hub.current import current_hub
from collab.engine.runtime.per_loop import PerLoop
from collab.wire import SUBPROTOCOL, CloseCode, MessageType, SyncType

__all__ = [
    "Application",
    "CollabClient",
    "ConnectionClosed",
    "close_rooms",
    "connect",
    "use_memory_storage",
]

Message = dict[str, Any]
Application = Callable[
    [Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]

#: Longest time that a client waits for an event, in seconds; a machine that runs much else is slow.
TIMEOUT = 30.0

#: Actions of text frames about the connection.
_OWN_FRAMES = {"hello", "access", "saved"}

_STEP1 = bytes((MessageType.SYNC, SyncType.STEP1))


def use_memory_storage() -> override_settings:
    """Return a context manager and decorator that keeps documents in memory.

    Each use begins without documents. Live rooms work in a ``TestCase``, but documents take no
    part in its transaction.
    """
    storage = {"BACKEND": "collab_storage.memory.MemoryStorage"}
    return override_settings(COLLAB={**getattr(settings, "COLLAB", {}), "STORAGE": storage})


async def close_rooms() -> None:
    """Close the rooms of this event loop once their updates are stored.

    The next client opens its document from the storage. Tests that do not use :func:`connect` end
    with this call: it closes the database connections of the rooms.
    """
    async with asyncio.timeout(TIMEOUT):
        await current_hub().close()


async def _refuse_transaction() -> None:
    """Fail at once if rooms would wait forever for data that the test never commits."""
    if get_storage().joins_transactions and await sync_to_async(_in_transaction)():
        raise RuntimeError(
            "Rooms do not see the transaction that this test runs in, and may wait for it. Use a"
            " TransactionTestCase or pytest.mark.django_db(transaction=True), or keep the"
            " documents of this test in memory: use_memory_storage()."
        )


def _in_transaction() -> bool:
    return any(connection.in_atomic_block for connection in connections.all())


async def _explain(error: Exception) -> None:
    """Add a note to ``error`` if a document with rows could not be opened in a transaction."""
    is_refusal = isinstance(error, ConnectionClosed) and error.code != CloseCode.INTERNAL
    if not is_refusal and await sync_to_async(_in_transaction)():
        error.add_note(
            "Rows of documents are not read in the transaction that this test runs in. If there"
            " are any, use a TransactionTestCase or pytest.mark.django_db(transaction=True)."
        )


#: Clients of :func:`connect` by event loop.
_connected = PerLoop(set["CollabClient"])


@asynccontextmanager
async def connect(
    application: Application,
    path: str,
    *,
    user: object = None,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (SUBPROTOCOL,),
    doc: Doc[Any] | None = None,
) -> AsyncIterator[CollabClient]:
    """Connect to ``application``, yield a client that is in sync, and disconnect it at the end.

    When the last client of the event loop disconnects, the rooms are closed, so a later client
    opens its document from the storage. :class:`CollabClient` describes the arguments.

    Raises:
        ConnectionClosed: the server refused.
        RuntimeError: the test runs in a transaction, and documents are in the database.
    """
    await _refuse_transaction()
    # Channels' own closes that of a TestCase, whose autocommit is off, also for later tests.
    channels.db.close_old_connections = close_old_connections
    client = CollabClient(
        application, path, user=user, headers=headers, subprotocols=subprotocols, doc=doc
    )
    clients = _connected.current()
    clients.add(client)
    try:
        try:
            await client.connect()
        except (ConnectionClosed, TimeoutError) as error:
            await _explain(error)
            raise
        yield client
    finally:
        try:
            await client.disconnect()
        finally:
            clients.remove(client)
            if not clients:
                await close_rooms()


class ConnectionClosed(Exception):
    """The server has refused or ended the connection, with a ``code`` and a ``reason``."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class CollabClient:
    """A Yjs client in the process of the test.

    Changes of its ``doc`` are sent at once while it is connected. Changes of others are received
    while the test awaits a method of this client.

    Args:
        application: the project's ASGI application, or its part for websockets.
        path: the path of the websocket, with its query if it has one.
        user: the user of the connection, which ``AuthMiddleware`` leaves alone.
        headers: headers of the request. An ``origin`` that the application accepts is added.
        subprotocols: the subprotocols that the client offers, by default that of
            ``CollabProvider``. Without it the server refuses with HTTP 403.
        doc: the client's document, by default an empty one.
    """

    def __init__(
        self,
        application: Application,
        path: str,
        *,
        user: object = None,
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = (SUBPROTOCOL,),
        doc: Doc[Any] | None = None,
    ) -> None:
        self.doc: Doc[Any] = Doc() if doc is None else doc
        #: "read" or "write", as the server reported.
        self.access: str | None = None
        #: The errors that the server has sent.
        self.errors: list[str] = []
        #: The JSON messages that the server has sent, such as refused changes of rows.
        self.messages: list[Message] = []
        self._application = application
        headers = {"origin": _origin(application), **(headers or {})}
        self._scope = _scope(path, user, headers, subprotocols)
        self._awareness = Awareness(self.doc)
        self._awareness.set_local_state(None)
        self._input: asyncio.Queue[Message] = asyncio.Queue()
        self._output: asyncio.Queue[Message] = asyncio.Queue()
        self._serving: asyncio.Future[None] | None = None
        self._closed: ConnectionClosed | None = None
        self._synced = self._receiving = False
        self._durable = True
        self._sent = self._saved = 0
        self._subscription: Subscription | None = None

    # Connecting.

    async def connect(self) -> None:
        """Connect, and wait until the document is in sync with the server.

        Raises:
            ConnectionClosed: the server refused.
        """
        # A server runs an application in a context of its own, too.
        serving = self._application(self._scope, self._input.get, self._output.put)
        self._serving = Context().run(asyncio.ensure_future, serving)
        self._subscription = self.doc.observe(self._observe)
        self._input.put_nowait({"type": "websocket.connect"})
        self.send(json.dumps({"action": "hello", "request_id": 1}))
        self.send(create_sync_message(self.doc))
        await self.wait_until(lambda: self._synced and self.access)

    async def disconnect(self, code: int = 1000) -> None:
        """End the connection, and wait until the server has stored its updates.

        Raises:
            Exception: the application has failed.
        """
        serving, self._serving = self._serving, None
        if serving is None:
            return
        self.doc.unobserve(cast(Subscription, self._subscription))
        self._input.put_nowait({"type": "websocket.disconnect", "code": code})
        async with asyncio.timeout(TIMEOUT):
            await serving

    async def wait_closed(self) -> ConnectionClosed:
        """Wait until the server ends the connection; return its code and reason."""
        await self.wait_until(lambda: self._closed)
        return cast(ConnectionClosed, self._closed)

    # The document.

    async def wait_until(
        self, condition: Callable[[], object], *, within: float | None = None
    ) -> None:
        """Receive messages until ``condition()`` is true; it is called after each one.

        Raises:
            TimeoutError: the condition is not true ``within`` this number of seconds, by default
                30.
            ConnectionClosed: the server has ended the connection.
            Exception: the application has failed.
        """
        async with asyncio.timeout(TIMEOUT if within is None else within):
            while not condition():
                if self._closed is not None:
                    raise self._closed
                self._receive(await self._next_message())

    async def wait_saved(self) -> None:
        """Wait until all changes of ``doc`` are stored.

        Raises:
            RuntimeError: they never will be, because this client may only read or the consumer
                keeps the document in memory only.
        """
        if not self._durable or self.access != "write":
            raise RuntimeError("Changes of this client are not stored.")
        await self.wait_until(lambda: self._saved >= self._sent)

    # Presence.

    @property
    def presence(self) -> dict[int, dict[str, Any]]:
        """All presence states by client id; that of this client is ``doc.client_id``."""
        return self._awareness.states

    def set_presence(self, state: dict[str, Any] | None) -> None:
        """Send this client's presence state; ``None`` removes it."""
        self._awareness.set_local_state(state)
        update = self._awareness.encode_awareness_update([self.doc.client_id])
        self.send(create_awareness_message(update))

    # Frames.

    def send(self, frame: bytes | str) -> None:
        """Send a frame as it is, valid or not."""
        key = "bytes" if isinstance(frame, bytes) else "text"
        self._input.put_nowait({"type": "websocket.receive", key: frame})

    def _send_update(self, frame: bytes) -> None:
        self._sent += 1
        self.send(frame)

    def _observe(self, event: TransactionEvent) -> None:
        if not self._receiving:
            self._send_update(create_update_message(event.update))

    async def _next_message(self) -> Message:
        if not self._output.empty():
            return self._output.get_nowait()
        message = asyncio.ensure_future(self._output.get())
        serving = cast("asyncio.Future[None]", self._serving)
        try:
            both: list[asyncio.Future[Any]] = [message, serving]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if message.done():
                return message.result()
            serving.result()
            # The application ended without a close message; a server would close with 1006, too.
            return {"type": "websocket.close", "code": 1006}
        except asyncio.CancelledError:
            if message.done():
                # Keep it for the next call that waits.
                self._receive(message.result())
            raise
        finally:
            message.cancel()

    def _receive(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            code, reason = message.get("code"), message.get("reason")
            self._closed = ConnectionClosed(code or 1000, reason or "")
        elif (text := message.get("text")) is not None:
            self._receive_json(json.loads(text))
        elif (frame := message.get("bytes")) is not None:
            self._receive_frame(frame)

    def _receive_json(self, frame: Message) -> None:
        self.messages.append(frame)
        self.errors += frame["errors"]
        if frame["action"] not in _OWN_FRAMES:
            # The data of other actions may be anything.
            return
        data = frame.get("data") or {}
        self.access = data.get("access", self.access)
        self._durable = data.get("durable", self._durable)
        self._saved = data.get("count", self._saved)

    def _receive_frame(self, frame: bytes) -> None:
        kind, payload = frame[0], frame[1:]
        if kind == MessageType.AWARENESS:
            self._awareness.apply_awareness_update(read_message(payload), "server")
        elif kind == MessageType.SYNC:
            self._receive_sync(payload)

    def _receive_sync(self, payload: bytes) -> None:
        self._receiving = True
        try:
            reply = handle_sync_message(payload, self.doc)
        finally:
            self._receiving = False
        self._synced = self._synced or payload[0] == SyncType.STEP2
        if reply is not None:
            self._send_update(reply)


def _origin(application: Application) -> str:
    """Return an origin that the application's ``OriginValidator`` accepts, if there is one."""
    for route in routes(application):
        for pattern in getattr(route.application, "allowed_origins", ()):
            origin = pattern if "://" in pattern else f"http://{pattern}"
            return origin.replace("://.", "://").replace("*", "localhost")
    return "http://localhost"


def _scope(
    path: str, user: object, headers: Mapping[str, str], subprotocols: Sequence[str]
) -> Message:
    parts = urlsplit(path)
    lowered = {key.lower(): value for key, value in headers.items()}
    scope = {
        "type": "websocket",
        "path": unquote(parts.path),
        "query_string": parts.query.encode(),
        "headers": [(key.encode(), value.encode()) for key, value in lowered.items()],
        "subprotocols": list(subprotocols),
    }
    return scope if user is None else {**scope, "user": user}
