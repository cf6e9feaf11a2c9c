"""Takes in the frames of one connection, no faster than a member may send them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final

from collab.conf import Settings
from collab.engine.connections.fast_path import TURN_FRAMES, Socket
from collab.engine.connections.shared_timers import SharedTimer, SharedTimers
from collab.engine.connections.throttle import Throttle
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.runtime.counters import counters
from collab.engine.runtime.timers import HUNG
from collab.exceptions import ProtocolViolation
from collab.protocol.websocket_frames import (
    BINARY,
    CLOSE,
    CODE_SIZE,
    HEADER_SIZE,
    MASKED,
    SHORT,
    TEXT,
)

__all__ = ["FrameIntake", "handle_frame"]

#: Seconds of waiting, in total, after which a member is sent the reason.
_LONG_WAIT: Final = 1.0
#: Seconds between two checks whether a throttled member has left.
_LONGEST_PAUSE: Final = 0.5

#: Types of the events that the fast path leaves to the connection's task.
_THROTTLED: Final = "collab.throttled"
_FAILED: Final = "collab.failed"
_IDLE: Final = "collab.idle"
#: Seconds until a connection may rest: many that join leave before.
REST_AFTER: Final = 1.0


def handle_frame(room: Room, member: Member, frame: bytes) -> None:
    """Handle a binary frame of a member of a room, unless its connection ends.

    Raises:
        MemberError: the frame is not valid, or the member asks for too much.
    """
    if not member.outbox.is_closed:
        room.handle(member, member.session.receive_bytes(frame))


class FrameIntake:
    """Reads, counts, charges and passes on the frames of one connection.

    On the fast path, :meth:`data_received` stands in the place of the socket's: it gets the bytes
    from the transport, reads the short messages that they begin with, as nearly all are, and leaves
    all else to the socket. The socket calls :meth:`on_frame` with other frames, or a frame comes
    as a message of ASGI, which the connection's task receives. A frame takes the fast path only
    while nothing else is handled, so that frames stay in their order.

    Args:
        settings: for the limits.
        receive: handles a binary frame, unless :meth:`attach` names a room that does.
        receive_text: handles a text frame; by default each comes as a message of ASGI.
    """

    __slots__ = (
        "_context",
        "_first_frames",
        "_loop",
        "_member",
        "_receive",
        "_receive_text",
        "_room",
        "_short",
        "_socket",
        "_throttle",
        "_unmask",
        "busy",
        "may_rest",
    )

    def __init__(
        self,
        settings: Settings,
        receive: Callable[[bytes], None],
        receive_text: Callable[[str], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._receive_text = receive_text
        self._throttle = Throttle(settings)
        self._member: Member | None = None
        self._room: Room | None = None
        #: Has the intake until its first frame has come.
        self._first_frames: SharedTimer[FrameIntake] | None = None
        self._socket: Socket | None = None
        self._unmask: Callable[[bytes, bytes], bytes]
        #: The largest payload that is read here.
        self._short = 0
        self._context: Context
        #: The number of messages and events that are handled; the fast path is free while it is 0.
        self.busy = 1
        #: The connection's task may end while there is nothing to handle.
        self.may_rest = False

    def attach(self, member: Member, seconds: float, room: Room | None = None) -> None:
        """Charge requests of ``member``; its first frame is due within ``seconds``.

        Its binary frames are those of a document in ``room``, if it is given.
        """
        self._member, self._room = member, room
        self._first_frames = first_frames = _first_frames.of(seconds)
        first_frames.add(self)

    def open_fast_path(self, socket: Socket) -> None:
        """Take the bytes of ``socket`` from now on, in the context of the caller."""
        self._context = copy_context()
        self._socket = socket
        self._unmask, self._short = socket.unmask, min(SHORT, socket.max_size)
        socket.on_frame = self.on_frame
        socket.give_bytes_to(self.data_received)
        _rests.of(REST_AFTER).add(self)

    def rest(self) -> None:
        """End the connection's task while it has nothing to handle."""
        self.may_rest = True
        if not self.busy:
            self._inject({"type": _IDLE})

    def close(self) -> None:
        """Take no more frames."""
        # It is not 0 again: bytes that still come are left to the socket.
        self.busy += 1
        # The connection has this, and must not be in a circle.
        self._member, self._receive, self._receive_text = None, _ignore, _ignore
        if self._socket is not None:
            self._socket.on_frame = None
            self._socket.give_bytes_to(None)
            _rests.of(REST_AFTER).remove(self)
        if self._first_frames is not None:
            self._first_frames.remove(self)

    # Frames.

    def count(self, size: int) -> None:
        """Count a frame of ``size`` bytes."""
        if self._first_frames is not None:
            self._first_frames.remove(self)
            self._first_frames = None
        counters.received_frames += 1
        counters.received_bytes += size

    def charge(self, size: int) -> float:
        """Return the seconds to wait after a frame of ``size`` bytes and the answers to it."""
        member = self._member
        answered = member.take_answered() if member is not None and member.answered else 0
        return self._throttle.take(size, self._loop.time(), answered=answered)

    async def pause(self, seconds: float) -> None:
        """Wait before the next frame, unless the member leaves."""
        counters.throttled_seconds += seconds
        member, is_long = self._member, self._throttle.waited > _LONG_WAIT
        if member is not None and is_long and (reply := member.session.on_throttled()):
            member.send_frame(reply.frame)
        # The frames of a connection that has ended must not delay the end of the process.
        while seconds > 0 and not (member and member.is_closed):
            await asyncio.sleep(min(seconds, _LONGEST_PAUSE))
            seconds -= _LONGEST_PAUSE

    # The fast path.

    def data_received(self, data: bytes) -> None:
        """Receive bytes of the client, in the place of the socket's method."""
        socket, start, left = self._socket, 0, TURN_FRAMES
        assert socket is not None
        if socket.library is None and socket.is_plain and not socket.partial:
            # Frames that are read here change none of these.
            while (
                left
                and (end := self._end_of_frame(data, start))
                and not self.busy
                and not socket.read_paused
            ):
                body = start + HEADER_SIZE
                payload = self._unmask(data[body:end], data[body - 4 : body])
                if data[start] == BINARY:
                    self.on_frame(payload)
                elif not self._on_text(payload):
                    break
                start, left = end, left - 1
            if (
                left
                and not socket.read_paused
                and self._is_close(data, start)
                and socket.answer_close(self._unmask(data[-2:], data[-6:-2]))
            ):
                start = len(data)
        if start < len(data):
            socket.read(data[start:], left)

    def _end_of_frame(self, data: bytes, start: int) -> int:
        """Return where a short message ends; 0 if there is none, or only a part of it."""
        body, end = start + HEADER_SIZE, 0
        if body <= len(data) and (
            data[start] == BINARY or (data[start] == TEXT and self._receive_text is not None)
        ):
            # Without a mask, it seems to be a long one.
            size = data[start + 1] ^ MASKED
            end = body + size if size <= self._short and body + size <= len(data) else 0
        return end

    def _is_close(self, data: bytes, start: int) -> bool:
        """Return whether a close frame with a code, and nothing else, is left of ``data``."""
        size = HEADER_SIZE + CODE_SIZE
        if len(data) - start != size:
            return False
        return data[start] == CLOSE and data[start + 1] == MASKED | CODE_SIZE

    def on_frame(self, frame: bytes) -> bool:
        """Take a frame from the socket, unless a message or an event comes before it.

        Further work that takes time is left to the connection's task.
        """
        if self.busy:
            return False
        self._run(self._take, frame)
        return True

    def _run(self, take: Callable[[Any], float], frame: bytes | str) -> None:
        try:
            if wait := self._context.run(take, frame):
                self._inject({"type": _THROTTLED, "seconds": wait})
        except BaseException as error:
            self._inject({"type": _FAILED, "error": error})

    def _take(self, frame: bytes) -> float:
        size, room, member = len(frame), self._room, self._member
        self.count(size)
        if room is not None and member is not None:
            handle_frame(room, member, frame)
        else:
            self._receive(frame)
        return self.charge(size)

    def _on_text(self, payload: bytes) -> bool:
        """Take a text frame, and return ``True``; one that is not valid is left to the socket."""
        try:
            frame = payload.decode()
        except UnicodeDecodeError:
            return False
        self._run(self._take_text, frame)
        return True

    def _take_text(self, frame: str) -> float:
        assert self._receive_text is not None
        self.count(len(frame))
        self._receive_text(frame)
        return self.charge(len(frame))

    def _inject(self, event: dict[str, Any]) -> None:
        assert self._socket is not None
        self._socket.inject(event)

    async def handle_injected(self, message: dict[str, Any]) -> bool:
        """Finish work that the fast path left, and return whether ``message`` is that work."""
        if message["type"] == _THROTTLED:
            await self.pause(message["seconds"])
        elif message["type"] == _FAILED:
            raise message["error"]
        elif message["type"] != _IDLE:
            return False
        return True

    def miss_first_frame(self) -> None:
        """Refuse the member, as its first frame has not come in time."""
        member = self._member
        if member is not None and not member.is_closed:
            limit = "FIRST_FRAME_TIMEOUT"
            member.refuse(ProtocolViolation("No frame came in time.", limit=limit))


def _ignore(frame: object) -> None:
    """Handle no frame any more: the connection has ended."""


def _miss_first_frame(intake: FrameIntake) -> None:
    intake.miss_first_frame()


_first_frames = SharedTimers(_miss_first_frame, HUNG)


def _rest(intake: FrameIntake) -> None:
    intake.rest()


_rests = SharedTimers(_rest)
