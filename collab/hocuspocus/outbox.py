"""The way out to one client that has many documents open.

Each document has an outbox of its own, which keeps the updates for a client that does not read in
short form, and all share a line. The address of the document goes before a frame when the frame is
sent, so that frames that wait are the room's own, which all members share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from collab.conf import Settings
from collab.engine.connections.fast_path import Send, Write
from collab.engine.rooms.outbox import Outbox
from collab.engine.runtime.counters import counters
from collab.hocuspocus.frames import status_frame

__all__ = ["AddressedOutbox", "Line"]

#: Cost of a message beside its bytes.
_MESSAGE_COST = 128


class Line:
    """One client's connection, which sends one message at a time.

    Args:
        send: the ASGI server's ``send``.
        write: sends a frame without ``send`` if that can be done at once.
        settings: for the limits.
        evict: ends the connection without the client's help.
    """

    def __init__(
        self,
        send: Send,
        write: Write | None,
        settings: Settings,
        evict: Callable[[], object],
    ) -> None:
        self._send = send
        self._write = write
        self.evict = evict
        self._timeout = settings.SEND_TIMEOUT
        self._loop = asyncio.get_running_loop()
        self._busy = asyncio.Lock()
        #: Messages that are sent by ``send``, or wait for their turn.
        self._sending = 0
        #: Bytes that wait for the client, of all documents together, at most.
        self.limit = settings.MAX_MEMBER_BACKLOG
        self.backlog = 0
        self._is_closed = False
        #: Something was sent since this was set to ``False``.
        self.has_sent = False

    def write(self, frame: bytes | str, count: int = 1) -> bool:
        """Send a frame ``count`` times if that can be done at once; return whether it could."""
        self.has_sent = True
        if self._is_closed:
            return True
        return self._write is not None and not self._sending and self._write(frame, count)

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message when those before it are sent."""
        self.has_sent = True
        self._sending += 1
        try:
            async with self._busy:
                await self._send_in_turn(message)
        finally:
            self._sending -= 1

    async def _send_in_turn(self, message: dict[str, Any]) -> None:
        if self._is_closed:
            return
        self._is_closed = message["type"] == "websocket.close"
        deadline = self._loop.call_later(self._timeout, self.evict)
        try:
            await self._send(message)
        finally:
            deadline.cancel()

    async def ready(self) -> None:
        """Wait until the client has read the messages that are being sent."""
        async with self._busy:
            pass


class AddressedOutbox(Outbox):
    """The way out for one document.

    Args:
        line: of the connection.
        prefix: the address, as frames begin with it.
        settings: for the limits.
        on_close: called with a code and a reason when the server closes the document.
        user_id: of the client, for the log.
    """

    def __init__(
        self,
        line: Line,
        prefix: bytes,
        settings: Settings,
        on_close: Callable[[int, str], object],
        user_id: str | None,
    ) -> None:
        super().__init__(self._send_addressed, self._write_addressed, settings, line.evict, user_id)
        self._line = line
        self._prefix = prefix
        self._on_close = on_close
        #: Reports of stored frames that wait.
        self._stored = 0
        #: Part of the line's backlog that this document has.
        self._share = 0

    def _write_addressed(self, frame: bytes | str) -> bool:
        return isinstance(frame, bytes) and self._line.write(_addressed(self._prefix, frame))

    async def _send_addressed(self, message: dict[str, Any]) -> None:
        frame = _addressed(self._prefix, message["bytes"])
        await self._line.send({"type": "websocket.send", "bytes": frame})

    async def _finish_sending(self, sending: Any) -> None:
        # The line has the deadline: other documents may have their turn before.
        await sending

    # Sending.

    def send_stored(self, count: int) -> None:
        """Report that ``count`` more frames of the client are stored, with a message for each."""
        frame = status_frame(True)
        is_free = self._drain is None and not self.is_closed
        if is_free and self._line.write(self._prefix + frame, count):
            counters.sent_bytes += count * len(frame)
            return
        self._stored += count
        while self._stored and self._drain is None and not self.is_closed:
            self._stored -= 1
            self.send_frame(frame)

    def _next_frame(self) -> bytes | str | None:
        frame = super()._next_frame()
        if frame is None and self._stored:
            self._stored -= 1
            return status_frame(True)
        return frame

    # Waiting for the client.

    def send_update(self, update: bytes, frame: bytes) -> None:
        """Send a change of the document, or keep it while the line's backlog has space."""
        if self._drain is None:
            counters.sent_bytes += len(frame)
            # As in _put of the base class: this runs once for each member.
            if self.is_closed or not self._line.write(_addressed(self._prefix, frame)):
                self._start({"type": "websocket.send", "bytes": frame})
            return
        super().send_update(update, frame)
        self._count()
        if self._updates and self._line.backlog > self._line.limit:
            self.owe_full_state()

    def _keep(self, message: dict[str, Any]) -> None:
        super()._keep(message)
        self._count()

    def _has_space(self, size: int) -> bool:
        return super()._has_space(size) and self._line.backlog <= self._line.limit

    def _next_message(self) -> dict[str, Any] | None:
        message = super()._next_message()
        self._count()
        return message

    def _forget_updates(self) -> None:
        super()._forget_updates()
        self._count()

    def _count(self) -> None:
        share = self._updates_size + self._messages_size + len(self._messages) * _MESSAGE_COST
        self._line.backlog += share - self._share
        self._share = share

    # The end.

    def close(self, code: int, reason: str) -> None:
        """Have the document closed; nothing is sent for it after that."""
        if not self.is_closed:
            self.is_closed = True
            self._on_close(code, reason)

    def stop(self) -> None:
        """Send nothing any more, and free the waiting messages and updates."""
        super().stop()
        self._messages = []
        self._messages_size = 0
        self._forget_updates()


#: The address and the frame that were sent last, and both together: all members of a room with the
#: plain address are sent one object.
_last: tuple[bytes, bytes, bytes] = b"", b"", b""


def _addressed(prefix: bytes, frame: bytes) -> bytes:
    """Return a frame behind an address, and cache it."""
    global _last
    last_prefix, last_frame, addressed = _last
    if frame is not last_frame or prefix != last_prefix:
        addressed = prefix + frame
        _last = prefix, frame, addressed
    return addressed
