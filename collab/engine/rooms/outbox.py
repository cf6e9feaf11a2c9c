"""Frames on their way to one client, however slowly it reads.

A frame is sent by running the server's ``send`` coroutine as far as it goes, which for a client
that reads is to its end, without a task. When it blocks, a task takes over, and what comes
meanwhile is kept in short form: updates merged, presence by client id, and beyond a limit one full
state in place of all updates. So a slow reader costs bounded memory and delays no other member.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

from collab.conf import Settings
from collab.engine.connections.fast_path import Send
from collab.engine.runtime.counters import counters
from collab.engine.runtime.timers import resume
from collab.protocol.frames import step1_frame, update_frame
from collab.protocol.json_frames import json_frame
from collab.protocol.yjs.updates import EMPTY_STATE, EMPTY_UPDATE, merge

__all__ = ["DocumentView", "Outbox", "PresenceView"]

logger = logging.getLogger("collab.member")

#: Frames that wait for a client that does not read; one that asks for more is abusive, as is one
#: for which more than MAX_MEMBER_BACKLOG bytes would wait.
_MAX_REPLIES: Final = 1_000

#: Shared by the outboxes of all clients that read, and never changed: for such a client nothing
#: waits, and most are such clients.
_NOBODY: frozenset[int] = frozenset()
_NO_MESSAGES: Final[list[dict[str, Any]]] = []
_NO_UPDATES: Final[list[bytes]] = []

#: A "saved" frame, before and behind its number: there is one for many updates.
_SAVED: Final = json_frame("saved", data={"count": -1}).split("-1")
_SAVED_HEAD: Final = _SAVED[0]
_SAVED_TAIL: Final = _SAVED[1]


class PresenceView(Protocol):
    """The presence of a room, as its members are sent it."""

    def client_ids(self) -> Iterable[int]:
        """Return the client ids that are present."""

    def frame(self, client_ids: Iterable[int] | None = None) -> bytes:
        """Return the frame of the states of ``client_ids``, by default of all present."""


class DocumentView(Protocol):
    """A room, as its members are sent it."""

    @property
    def presence(self) -> PresenceView:
        """Its presence."""

    @property
    def size(self) -> int:
        """Bytes of the encoded document, at most."""

    def state(self) -> bytes:
        """Return the state vector."""

    def answer(self, state: bytes) -> list[bytes]:
        """Return the frames that answer a step 1, in this order."""


class Outbox:
    """The way out to one client.

    Args:
        send: the ASGI server's ``send``.
        write: sends a frame without ``send`` if that can be done at once, and returns whether it
            could; see :class:`collab.engine.connections.fast_path.Socket`.
        settings: for the limits.
        evict: ends the connection without the client's help.
        user_id: of the client, for the log.
    """

    #: The room that the client is in.
    view: DocumentView

    def __init__(
        self,
        send: Send,
        write: Callable[[bytes | str], bool] | None,
        settings: Settings,
        evict: Callable[[], object],
        user_id: str | None,
    ) -> None:
        self._send = send
        self._write = write
        self._settings = settings
        self._evict_client = evict
        self._user_id = user_id
        self._room_name: str | None = None
        #: Nothing is sent any more.
        self.is_closed = False
        #: Drains the backlog while the client does not read; ``None`` while it does.
        self._drain: asyncio.Task[None] | None = None
        self._needs_task = False
        self._messages = _NO_MESSAGES
        self._messages_size = 0
        self._updates = _NO_UPDATES
        self._updates_size = 0
        self._needs_full_state = False
        #: Client ids whose presence waits.
        self._present: frozenset[int] = _NOBODY
        self._saved = self._sent_saved = 0

    def enter(self, view: DocumentView, name: str) -> None:
        """Be the way out of a room of that name from now on."""
        self.view = view
        self._room_name = name

    @property
    def _log_context(self) -> dict[str, str | None]:
        return {"room": self._room_name, "user": self._user_id}

    @property
    def is_blocked(self) -> bool:
        """Whether the client does not read at the moment."""
        return self._drain is not None

    async def ready(self) -> None:
        """Wait until the client has read everything that was sent to it, or is gone."""
        if self._drain is not None:
            await asyncio.wait([self._drain])

    def stop(self) -> None:
        """Send nothing any more: the connection is gone."""
        self.is_closed = True
        if self._drain is not None:
            self._drain.cancel()

    # Sending.

    def send_frame(self, frame: bytes | str) -> None:
        """Send a frame that may neither be merged with others nor left out."""
        counters.sent_bytes += len(frame)
        if self._drain is None:
            self._put(frame)
        else:
            self._send_message(_message(frame))

    def send_update(self, update: bytes, frame: bytes) -> None:
        """Send a change of the document; ``frame`` is ``update`` encoded, once for all members."""
        if self._drain is None:
            counters.sent_bytes += len(frame)
            # As in _put: this runs once for each member, and a call takes a part of its time.
            if self._write is None or self.is_closed or not self._write(frame):
                self._start(_message(frame))
        elif not self._needs_full_state:
            if self._updates is _NO_UPDATES:
                self._updates = []
            self._updates.append(update)
            self._updates_size += len(update)
            if self._updates_size > self._settings.MAX_MEMBER_BACKLOG:
                counters.full_states += 1
                self.owe_full_state()

    def send_own(self, update: bytes) -> None:
        """Send the client's own update back, unless it is empty."""
        if update != EMPTY_UPDATE:
            self.send_update(update, update_frame(update))

    def owe_full_state(self) -> bool:
        """Replace all updates of the backlog by one full state; return whether it is new."""
        is_new, self._needs_full_state = not self._needs_full_state, True
        self._forget_updates()
        return is_new

    def send_presence(self, client_ids: Iterable[int], frame: bytes) -> None:
        """Send presence; ``frame`` holds the states of ``client_ids``."""
        if self._drain is None:
            counters.sent_bytes += len(frame)
            self._put(frame)
        else:
            self._present = self._present.union(client_ids)

    def send_saved(self, number: int) -> None:
        """Report that the first ``number`` updates of this connection are stored."""
        self._saved = number
        if self._drain is None and number > self._sent_saved:
            self.send_frame(self._saved_frame())

    def _saved_frame(self) -> str:
        self._sent_saved = self._saved
        return f"{_SAVED_HEAD}{self._saved}{_SAVED_TAIL}"

    def send_question(self, state: bytes) -> None:
        """Ask for the updates that a document of state vector ``state`` lacks."""
        self.send_frame(step1_frame(state))

    def send_stateless(self, payload: str) -> None:
        """Send a message that is not part of the document."""
        self.send_frame(json_frame("stateless", data=payload))

    def send_pending(self, number: int) -> None:
        """Report that ``number`` updates of this connection are pending."""
        self.send_frame(json_frame("pending", data={"count": number}))

    def close(self, code: int, reason: str) -> None:
        """Close the connection; nothing is sent after that."""
        if self.is_closed:
            return
        # A websocket close frame holds at most 123 bytes of reason.
        short = reason.encode()[:123].decode(errors="ignore")
        self._send_message({"type": "websocket.close", "code": int(code), "reason": short})
        self.is_closed = True

    # How it is sent.

    def _put(self, frame: bytes | str) -> None:
        """Send a frame to a client that reads."""
        if self._write is None or self.is_closed or not self._write(frame):
            self._start(_message(frame))

    def _send_message(self, message: dict[str, Any]) -> None:
        if self._drain is None:
            self._start(message)
        elif self._has_space(_size(message)):
            self._keep(message)
        else:
            self._evict()

    def _keep(self, message: dict[str, Any]) -> None:
        if self._messages is _NO_MESSAGES:
            self._messages = []
        self._messages.append(message)
        self._messages_size += _size(message)

    def _has_space(self, size: int) -> bool:
        if not self._messages:
            return True
        whole = self._messages_size + size
        return len(self._messages) < _MAX_REPLIES and whole <= self._settings.MAX_MEMBER_BACKLOG

    def _start(self, message: dict[str, Any]) -> None:
        if self.is_closed:
            return
        if self._needs_task:
            self._drain_later(self._send(message))
            return
        sending = self._send(message).__await__()
        try:
            blocked_on = next(sending)
        except StopIteration:
            return
        except OSError:
            # The client is gone; the server says so to the consumer with a disconnect message.
            self.is_closed = True
        except Exception:
            # Some middleware needs a task, for a timeout for example: from now on it has one.
            self._needs_task = True
            self._start(message)
        else:
            self._drain_later(resume(sending, blocked_on))

    def _drain_later(self, blocked: Awaitable[None]) -> None:
        self._drain = asyncio.create_task(self._drain_backlog(blocked), name="drain outbox")

    async def _drain_backlog(self, blocked: Awaitable[None]) -> None:
        try:
            await self._finish_sending(blocked)
            while message := self._next_message():
                await self._finish_sending(self._send(message))
        except TimeoutError:
            logger.warning(
                "A member reads too slowly and is disconnected.", extra=self._log_context
            )
            self._evict()
        except OSError:
            self.is_closed = True
        except Exception as error:
            logger.warning(
                "Sending to a member failed (%s); it is disconnected.",
                type(error).__name__,
                extra=self._log_context,
            )
            self._evict()
        finally:
            self._drain = None

    async def _finish_sending(self, sending: Awaitable[None]) -> None:
        """Wait until a message is sent.

        Raises:
            TimeoutError: the client takes too long.
        """
        async with asyncio.timeout(self._settings.SEND_TIMEOUT):
            await sending

    def _evict(self) -> None:
        counters.evictions += 1
        self.is_closed = True
        self._evict_client()

    def _next_message(self) -> dict[str, Any] | None:
        """Return the next message of the backlog, in the shortest form that says everything."""
        if self._messages:
            message = self._messages.pop(0)
            self._messages_size -= _size(message)
            return message
        frame = None if self.is_closed else self._next_frame()
        if frame is None:
            return None
        counters.sent_bytes += len(frame)
        return _message(frame)

    def _next_frame(self) -> bytes | str | None:
        if self._needs_full_state:
            self._needs_full_state = False
            frame, *rest = self.view.answer(EMPTY_STATE)
            for frame_behind in rest:
                self._keep(_message(frame_behind))
            return frame
        if self._updates:
            frame = update_frame(merge(self._updates))
            self._forget_updates()
            return frame
        if self._present:
            frame = self.view.presence.frame(self._present)
            self._present = _NOBODY
            return frame
        return self._saved_frame() if self._saved > self._sent_saved else None

    def _forget_updates(self) -> None:
        self._updates = _NO_UPDATES
        self._updates_size = 0


def _message(frame: bytes | str) -> dict[str, Any]:
    return {"type": "websocket.send", "bytes" if isinstance(frame, bytes) else "text": frame}


def _size(message: dict[str, Any]) -> int:
    return len(message.get("bytes") or message.get("text") or "")
