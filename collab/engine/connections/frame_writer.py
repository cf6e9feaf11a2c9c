"""The short way of a frame to a client that reads: the part of a socket that each delivery runs."""

from __future__ import annotations

from typing import Any, Final

from collab.protocol.websocket_frames import frame_of

__all__ = ["LARGE", "FrameWriter", "shared_frame"]

#: From this size on, a payload is not copied behind its header.
LARGE: Final = 16 * 1024


class FrameWriter:
    """Writes frames to a client that reads, past the websocket's own checks.

    Args:
        transport: of the connection.
    """

    __slots__ = ("_transport", "is_open")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        #: The client reads, and nothing else decides whether a frame may be sent.
        self.is_open = False

    def write(self, payload: bytes | str, count: int = 1) -> bool:
        """Send a frame ``count`` times, if it is small and can be sent at once; return whether."""
        transport = self._transport
        if not self.is_open or len(payload) >= LARGE or transport.is_closing():
            return False
        try:
            frame = shared_frame(payload)
        except UnicodeEncodeError:
            # ``send`` raises it to the caller.
            return False
        # A product of bytes takes longer than the comparison, also with 1.
        transport.write(frame if count == 1 else frame * count)
        return True


#: The frame encoded last, which all members of a room receive. One object, so that event loops in
#: several threads cannot mix it up.
_last: tuple[bytes | str, bytes] = b"", frame_of(b"")


def shared_frame(payload: bytes | str) -> bytes:
    """Return a message as a frame of the server: one object if it is the last message again.

    Raises:
        UnicodeEncodeError: it is a text that has no encoding.
    """
    global _last
    last, frame = _last
    if payload is not last:
        frame = frame_of(payload)
        _last = payload, frame
    return frame
