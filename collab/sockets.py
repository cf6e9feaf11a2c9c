"""uvicorn's websockets, with a shortcut for nearly all frames.

    uvicorn mysite.asgi:application \\
        --http collab.sockets:HttpProtocol --ws collab.sockets:WebSocketProtocol

A binary or text frame that arrives whole and is a complete message is read from the bytes here, and
a frame that can be sent at once is written to the transport here. Handshakes, fragments, closing
and invalid frames are left to the base class. It receives whole frames, so that both always agree
on where the next one begins.

Each frame is charged to its connection (I16): a turn of the event loop handles a limited number of
its frames, control frames and fragments have a rate, a message must be finished in time, and frames
are never compressed.

The state that the base class and its library keep for a connection is released while it is not
needed, which is nearly always: it is larger than everything that this project keeps for a member.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from logging import DEBUG, getLogger
from typing import Any

from websockets.frames import (  # type: ignore[attr-defined]  # The fastest apply_mask it has.
    EXTERNAL_CLOSE_CODES,
    apply_mask,
)
from websockets.protocol import OPEN

from collab.conf import get_settings
from collab.engine.connections.fast_path import TURN_FRAMES
from collab.engine.connections.frame_writer import LARGE, shared_frame
from collab.engine.runtime.counters import counters
from collab.engine.runtime.token_bucket import TokenBucket
from collab.engine.sockets.handshake_protocol import WRITABLE, HandshakeProtocol
from collab.engine.sockets.http_protocol import HttpProtocol
from collab.engine.sockets.unfinished import current_unfinished
from collab.protocol.websocket_frames import (
    BINARY,
    CLOSE,
    CODE_SIZE,
    MASKED,
    SHORT,
    TEXT,
    body_of,
    bounds_of,
    header_of,
)

__all__ = ["HttpProtocol", "WebSocketProtocol"]

_FINAL = 0x80
_PING, _PONG = _FINAL | 9, _FINAL | 10
#: Valid first bytes of a frame.
_HEADS = frozenset({0, 1, 2, _FINAL, TEXT, BINARY, CLOSE, _PING, _PONG})
#: The code of a close frame that has none.
_NO_CODE = 1005
#: Bytes of an unfinished message that need no deadline.
_SMALL_PART = 64 * 1024

#: Bytes that a client which does not read in time has to read in a second from then on.
_READ_PER_SECOND = 64 * 1024

logger = getLogger("collab.member")


class WebSocketProtocol(HandshakeProtocol):
    """A websocket of uvicorn; a :class:`collab.engine.connections.fast_path.Socket`."""

    on_frame: Callable[[bytes], bool] | None = None
    unmask = staticmethod(apply_mask)
    #: Reads on when that is due; until then, frames wait in ``partial``.
    _reading_on: asyncio.Handle | None = None
    #: The client has left; the bytes that it has sent are read to their end.
    _has_ended = False
    #: For control frames and fragments, since the first of them.
    _bucket: TokenBucket | None = None
    #: The handshake has begun, the library does not log frames, and none was invalid.
    is_plain = False
    #: Bytes of a message, at most.
    max_size = 0
    #: A message has begun and not ended; its time is limited.
    _is_held = False
    #: Ends the connection of a client that does not read.
    _unread_timer: asyncio.TimerHandle | None = None

    def _rest(self) -> None:
        """Release the library's state, unless a message is in progress."""
        conn = self.library
        if self.is_plain and conn is not None and conn.state is OPEN and conn.current_size is None:
            self.library = None
            self._open_writer()

    def _open_writer(self) -> None:
        """Open the short way of frames, if the client reads and the library decides nothing."""
        is_free = self.is_plain and self.library is None
        self.writer.is_open = is_free and self.writable is WRITABLE

    # Receiving.

    def _open(self) -> None:
        """Open the shortcut to the client's frames, and forget the handshake."""
        # The library logs for debugging.
        self.is_plain = not self.logger.isEnabledFor(DEBUG)
        self.max_size = self.config.ws_max_size
        # The base class logs this, and never needs it again.
        del self.scope, self.app
        if hasattr(self, "response"):
            del self.request, self.response
        self._rest()
        self._open_writer()
        if self.partial:
            self._read_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on the messages that wait, and stop reading and sending."""
        if self._reading_on is not None:
            self._reading_on.cancel()
        if self.is_plain and self.partial:
            self._has_ended = True
            self._read_frames(self.partial)
        self._leave_short_way()
        if self._is_held:
            self._release()
        self._stop_unread_timer()
        super().connection_lost(exc)

    def read(self, data: bytes, left: int = TURN_FRAMES) -> None:
        """Receive bytes from the client, whatever they are; handle ``left`` frames in this turn."""
        if not self.handshake_initiated:
            self._knock(data)
        elif not self.handshake_complete:
            self._wait_for_handshake(data)
        elif not self.is_plain:
            super().data_received(data)
        elif self.partial or self._reading_on is not None:
            self.partial += data
            if self._reading_on is None:
                self._read_on()
        else:
            if (used := self._read_frames(data, left)) < len(data):
                self.partial += data[used:]
            self._check_unfinished()

    #: The method that transports call, unless the bytes are given to another one.
    data_received = read

    def give_bytes_to(self, receive: Callable[[bytes], None] | None) -> None:
        """Call ``receive`` with the bytes of the client from now on; ``None`` for none any more.

        It calls ``read`` with those that it does not handle itself. Nothing changes if there are
        none: the client has left, or the library reads all of them.
        """
        if receive is None:
            # The transport goes on calling it. A reference of its own would keep both alive.
            self.__dict__.pop("data_received", None)
        elif self.is_plain:
            self.data_received = receive  # type: ignore[assignment]
            # Transports look a method up once.
            self.transport.set_protocol(self)

    def _read_on(self) -> None:
        """Read the frames that have waited, and then new bytes."""
        self._reading_on = None
        if self.is_plain:
            del self.partial[: self._read_frames(self.partial)]
        else:
            data, self.partial = bytes(self.partial), bytearray()
            super().data_received(data)
        if self._reading_on is None and not self.read_paused:
            self.transport.resume_reading()
        self._check_unfinished()

    def _leave_short_way(self) -> None:
        """Leave all frames to the library from now on."""
        self.is_plain = self.writer.is_open = False

    def _read_later(self, delay: float) -> None:
        """Read nothing for ``delay`` seconds, which may be the rest of this turn."""
        self.transport.pause_reading()
        if self._reading_on is None:
            # With a delay of 0, others have their turn before.
            self._reading_on = self.loop.call_later(delay, self._read_on)

    def _read_frames(self, data: bytes | bytearray, left: int = TURN_FRAMES) -> int:
        """Read the whole frames, as many as the connection may send, and return their size."""
        start, size = 0, len(data)
        while size - start > 1:
            if (self.read_paused or self._reading_on is not None) and not self._has_ended:
                # The application has not received earlier messages, or the client has to wait.
                break
            if not left and not self._has_ended:
                self._read_later(0)
                break
            left -= 1
            first, body, end = data[start], *bounds_of(data, start)
            is_masked = data[start + 1] & MASKED
            if not is_masked or end - body > self.max_size or first not in _HEADS:
                return self._leave_to_library(data, start)
            if end > size:
                break
            if self.library is None and first in (BINARY, TEXT):
                self._take(first, apply_mask(data[body:end], data[body - 4 : body]))
            elif not self._handle_uncommon(data, start, body, end):
                return size
            start = end
        return start

    def _leave_to_library(self, data: bytes | bytearray, start: int) -> int:
        """Pass an invalid frame, and everything behind it, to the library."""
        self._leave_short_way()
        super().data_received(bytes(data[start:]))
        return len(data)

    def _handle_uncommon(self, data: bytes | bytearray, start: int, body: int, end: int) -> bool:
        """Handle a control frame or a fragment; return whether the connection goes on."""
        first = data[start]
        if self._has_ended and first in (_PING, _PONG):
            return True
        if self.library is None and first == _PING and end - body <= SHORT:
            self._answer_ping(apply_mask(data[body:end], data[body - 4 : body]))
        elif self.library is None and first == CLOSE and end - body in (0, CODE_SIZE):
            payload = apply_mask(data[body:end], data[body - 4 : body])
            if not self.answer_close(payload):
                self._leave_to_library(data, start)
            return False
        else:
            super().data_received(bytes(data[start:end]))
            if self.conn.parser_exc is not None:
                return False
            self._rest()
        if not self._has_ended and (wait := self._charge()):
            self._read_later(wait)
        return True

    def _answer_ping(self, payload: bytes) -> None:
        # A client that does not read its pongs gets no more of them.
        if self.writable is WRITABLE and not self.close_sent:
            self.transport.write(header_of(payload, _PONG) + payload)

    def answer_close(self, payload: bytes) -> bool:
        """Answer a close frame without a reason, and end; return whether its code is valid."""
        code = int.from_bytes(payload, "big") if payload else _NO_CODE
        if payload and code not in EXTERNAL_CLOSE_CODES:
            return False
        if not self.transport.is_closing():
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": ""})
            self.transport.write(header_of(payload, CLOSE) + payload)
            self._end()
        return True

    def _end(self) -> None:
        """Close the connection, whose closing handshake is complete."""
        self._leave_short_way()
        # Messages of the application fail from now on, as they do once the connection is lost.
        self.disconnected = True
        self.transport.close()

    def _charge(self) -> float:
        """Return the seconds to wait after a control frame or a fragment."""
        if self._bucket is None:
            settings = get_settings()
            self._bucket = TokenBucket(settings.MESSAGE_RATE, settings.MESSAGE_BURST)
        wait = self._bucket.take(1, self.loop.time())
        counters.throttled_seconds += wait
        return wait

    def _check_unfinished(self) -> None:
        """Bound the message that has begun and not ended, unless there is none."""
        fragments = self.library.current_size if self.library is not None else None
        is_waiting = self._reading_on is not None or self.read_paused
        part = 0 if is_waiting else len(self.partial)
        if fragments is not None or part > _SMALL_PART:
            self._is_held = True
            current_unfinished().hold(self, (fragments or 0) + part)
        elif self._is_held:
            self._release()

    def _release(self) -> None:
        self._is_held = False
        current_unfinished().release(self)

    def give_up(self, code: int, reason: str) -> None:
        """Close the connection, and free the bytes that it has received."""
        self.partial.clear()
        self.frames = []
        self.conn.fail(code, reason)
        self.handle_parser_exception()
        counters.refuse(code, "MESSAGE_TIMEOUT")

    def _take(self, kind: int, payload: bytes) -> None:
        """Pass a message on, past the queue if the application accepts it directly."""
        is_direct = kind == BINARY and self.on_frame is not None and not self.read_paused
        if not (is_direct and self.on_frame is not None and self.on_frame(payload)):
            self._enqueue(kind, payload)

    def _enqueue(self, kind: int, payload: bytes) -> None:
        """Pass a message on as an event of ASGI."""
        self.curr_msg_data_type = "bytes" if kind == BINARY else "text"
        self.frames = [payload]
        self.send_receive_event_to_app()

    def inject(self, event: Any) -> None:
        """Make the application receive ``event`` before any frame that comes later."""
        self.queue.put_nowait(event)
        if not self.read_paused and not self.close_sent:
            self.read_paused = True
            self.transport.pause_reading()

    # Sending.

    def pause_writing(self) -> None:
        """Record that the client does not read, and limit the time for that.

        The transport keeps a document that was written as one frame. Often nothing follows it that
        would wait, and nothing else notices then that the client reads nothing.
        """
        self.limit_unsent()
        self.writable = asyncio.Event()
        self.writer.is_open = False
        # Where something waits, that is noticed before, and for one member.
        seconds = 2 * get_settings().SEND_TIMEOUT
        self._unread_timer = self.loop.call_later(seconds, self._be_patient)

    def _be_patient(self) -> None:
        """Give the client time for what is left; a large document takes long on a slow line."""
        seconds = self.transport.get_write_buffer_size() / _READ_PER_SECOND
        self._unread_timer = self.loop.call_later(seconds, self._lose_patience)

    def _lose_patience(self) -> None:
        """Disconnect the client, unless its connection is ending anyway."""
        if not self.transport.is_closing():
            logger.warning("A client reads too slowly and is disconnected.")
            counters.evictions += 1
            self.transport.abort()

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def resume_writing(self) -> None:
        """Record that the client reads again."""
        self._stop_unread_timer()
        self.writable.set()
        self.writable = WRITABLE
        self._open_writer()

    def write(self, payload: bytes | str) -> bool:
        """Send a frame if it can be sent at once; return whether."""
        conn, transport = self.library, self.transport
        is_open = self.is_plain and (conn is None or conn.state is OPEN)
        if not is_open or self.writable is not WRITABLE or transport.is_closing():
            return False
        try:
            if len(payload) >= LARGE:
                self._write_large(payload)
            else:
                transport.write(shared_frame(payload))
        except UnicodeEncodeError:
            # ``send`` raises it to the caller.
            return False
        return True

    def _write_large(self, payload: bytes | str) -> None:
        self.limit_unsent()
        body, kind = body_of(payload)
        self.transport.write(header_of(body, kind))
        self.transport.write(body)

    async def send(self, message: Any) -> None:
        """Send a message of the application."""
        payload = message.get("bytes") or message.get("text")
        # Of any other type, it might be changed and be sent again.
        is_frame = message["type"] == "websocket.send" and type(payload) in (bytes, str)
        if not (is_frame and self.write(payload)):
            await super().send(message)
            if message["type"] == "websocket.accept" and self.handshake_complete:
                self._open()
            else:
                self._rest()

    async def receive(self) -> Any:
        """Return the next event of the client, and read on if there is none behind it."""
        while self.queue.empty():
            await self.queue.wait()
        event = self.queue.get_nowait()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if self.partial:
                self._read_later(0)
            elif self._reading_on is None:
                self.transport.resume_reading()
        return event

    def send_keepalive_ping(self) -> None:
        """Ping the client."""
        super().send_keepalive_ping()
        self._rest()
