"""The fast path of frames, which bypasses ASGI where the server offers it.

An ASGI server queues each frame for a task that it wakes up, and takes each answer out of a
dictionary, in a coroutine. With the websocket class of :mod:`collab.sockets`, the scope of a
connection has the socket itself, and a frame is a plain call in both directions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, Final, Protocol

from channels.sessions import InstanceSessionWrapper

from collab.engine.connections.frame_writer import FrameWriter

__all__ = [
    "EXTENSION",
    "TURN_FRAMES",
    "Receive",
    "Send",
    "Socket",
    "Write",
    "socket_of",
    "write_of",
]

#: Key of the socket in the scope's ``extensions``.
EXTENSION = "collab.socket"
#: Frames of one connection that are handled in one turn of the event loop.
TURN_FRAMES: Final = 100

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Write(Protocol):
    """Sends a frame ``count`` times if that can be done at once; returns whether it could."""

    def __call__(self, payload: bytes | str, count: int = 1, /) -> bool:
        """Send it."""


class Socket(Protocol):
    """One connection of the server."""

    #: Called with each binary frame that no other waits before; returns whether it has handled the
    #: frame, which else is received as a message of ASGI. It must not raise.
    on_frame: Callable[[bytes], bool] | None
    #: Returns a payload unmasked.
    unmask: Callable[[bytes, bytes], bytes]
    #: Bytes of a message, at most.
    max_size: int
    #: Sends small frames at once.
    writer: FrameWriter

    #: The handshake is complete, the library does not log frames, and none was invalid.
    is_plain: bool
    #: The library's state; ``None`` while neither a message in fragments nor a close needs it.
    library: Any
    #: Bytes that wait to be read.
    partial: bytearray
    #: An event waits to be received.
    read_paused: bool

    def read(self, data: bytes, left: int = TURN_FRAMES) -> None:
        """Receive bytes of the client, whatever they are.

        At most ``left`` frames of them are handled in this turn of the event loop.
        """

    def give_bytes_to(self, receive: Callable[[bytes], None] | None) -> None:
        """Call ``receive`` with the bytes of the client from now on; ``None`` for none any more.

        It calls ``read`` with those that it does not handle itself.
        """

    def answer_close(self, payload: bytes) -> bool:
        """Answer a close frame without a reason, and end; return whether its code is valid."""

    def rest(self, resume: Callable[[], Awaitable[None]], frame: FrameType) -> bool:
        """Call ``resume`` at the next event, if the application can return; return whether it can.

        Args:
            resume: continues the application.
            frame: of the coroutine that returns then.
        """

    def wake(self) -> None:
        """Continue the application, if it rests."""

    def inject(self, event: dict[str, Any]) -> None:
        """Make the application receive ``event`` before any frame that comes later."""

    async def receive(self) -> Any:
        """The application's ``receive``."""

    async def send(self, message: Any) -> None:
        """The application's ``send``."""


def socket_of(scope: dict[str, Any]) -> Socket | None:
    """Return the connection's socket, if the server offers it."""
    found: Socket | None = scope.get("extensions", {}).get(EXTENSION, {}).get("socket")
    return found


def write_of(socket: Socket | None, send: Send) -> Write | None:
    """Return the socket's ``write``, unless ``send`` is that of a middleware that sees each frame.

    Channels' sessions wrap the server's ``send`` for responses of HTTP only.
    """
    while isinstance(owner := getattr(send, "__self__", None), InstanceSessionWrapper):
        send = owner.real_send
    return socket.writer.write if socket is not None and send == socket.send else None
