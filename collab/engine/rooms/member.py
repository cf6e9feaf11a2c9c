"""One connection in a room: its session, and its way out to the client.

A frame is sent by running the server's ``send`` coroutine as far as it goes, which for a client
that reads is to its end, without a task. When it blocks, a task takes over, and what comes
meanwhile is kept in short form: updates merged, presence by client id, and beyond a limit one
full state in place of all of it. So a slow reader costs bounded memory and holds up nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import suppress
from types import coroutine
from typing import TYPE_CHECKING, Any, Protocol

from collab.conf import Settings
from collab.engine.connections.fast_path import Send
from collab.engine.runtime.counters import counters
from collab.exceptions import MemberError
from collab.protocol.frames import update_frame
from collab.protocol.session import Session, json_frame
from collab.protocol.yjs.updates import EMPTY_STATE, EMPTY_UPDATE, merge

if TYPE_CHECKING:
    from collab.engine.rooms.room import Room

__all__ = ["Connection", "Member"]

logger = logging.getLogger("collab.member")

#: Frames that wait for a client that does not read; one that asks for more is abusing us, as
#: is one for which more than MAX_MEMBER_BACKLOG bytes would wait.
_MAX_REPLIES = 1_000


#: What is before and behind the number that tells what is saved: there is one for many updates.
_SAVED_HEAD, _SAVED_TAIL = json_frame("saved", data={"count": -1}).split("-1")


class Connection(Protocol):
    """What a member asks of the consumer that it belongs to."""

    #: Of the connection, as ASGI has it.
    scope: dict[str, Any]

    def evict(self) -> None:
        """End the connection without the client's help: it takes no data."""

    async def recheck_access(self, *, routine: bool = False) -> None:
        """Ask anew what the member may do, and act on it; see ``YjsConsumer``."""

    async def keep_up(self) -> None:
        """Do what is to be done now and then for as long as the connection lasts."""


class Member:
    """A connection in a room.

    Args:
        connection: the consumer.
        session: the connection's protocol state.
        send: the ASGI server's ``send``.
        settings: for the limits.
        user_id: primary key of the user, as text; ``None`` for an anonymous one.
        echo_updates: send the member its own updates back once they are stored.
        write: sends a frame without ``send`` if that can be done at once, and tells whether it
            could; see :class:`collab.engine.connections.fast_path.Socket`.
    """

    #: The room it is in, and that room's name; a connection without a document is in none.
    room: Room
    room_name: str | None = None

    def __init__(
        self,
        connection: Connection,
        session: Session,
        send: Send,
        settings: Settings,
        *,
        user_id: str | None = None,
        echo_updates: bool = False,
        write: Callable[[bytes | str], bool] | None = None,
    ) -> None:
        self.connection = connection
        self.session = session
        self.user_id = user_id
        self.echo_updates = echo_updates
        self._send = send
        self._write = write
        self._settings = settings
        self._closed = False
        #: Drains what waits while the client does not read; None while it does.
        self._drain: asyncio.Task[None] | None = None
        self._needs_task = False
        self._messages: list[dict[str, Any]] = []
        self._messages_size = 0
        self._updates: list[bytes] = []
        self._updates_size = 0
        self._needs_full_state = False
        self._present: set[int] = set()
        self._saved = self._told_saved = 0
        self._answered = 0

    @property
    def user(self) -> Any:
        """The user as the project's middleware has it; ``None`` if there is none."""
        return self.connection.scope.get("user")

    # What the room sends.

    def send_frame(self, frame: bytes | str) -> None:
        """Send a frame of which none may be left out."""
        counters.sent_bytes += len(frame)
        if self._drain is None:
            self._put(frame)
        else:
            self._send_message(_message(frame))

    async def ready(self) -> None:
        """Wait until the client has taken what was sent to it, or is gone."""
        if self._drain is not None:
            await asyncio.wait([self._drain])

    def send_update(self, update: bytes, frame: bytes) -> None:
        """Send a change of the document; ``frame`` is ``update`` encoded, once for all members."""
        if self._drain is None:
            counters.sent_bytes += len(frame)
            self._put(frame)
        elif not self._needs_full_state:
            self._updates.append(update)
            self._updates_size += len(update)
            if self._updates_size > self._settings.MAX_MEMBER_BACKLOG:
                counters.full_states += 1
                self._owe_full_state()

    def send_state(self, state: bytes) -> None:
        """Send what a document of state vector ``state`` lacks."""
        if self._drain is None:
            for frame in self.room.answer(state):
                self._answered += len(frame)
                self.send_frame(frame)
        elif not self._needs_full_state:
            self._answered += self.room.size
            self._owe_full_state()

    def send_everybody(self) -> None:
        """Send who is present, to a member that asks."""
        presence = self.room.presence
        frame = presence.frame()
        self._answered += len(frame)
        self.send_presence(presence.client_ids(), frame)

    def take_answered(self) -> int:
        """Return how many bytes the member has asked for since this was called last."""
        answered, self._answered = self._answered, 0
        return answered

    def _owe_full_state(self) -> None:
        """Let one full state stand for all updates that wait, however often it is asked for."""
        self._forget_updates()
        self._needs_full_state = True

    def send_presence(self, client_ids: Iterable[int], frame: bytes) -> None:
        """Send who is present; ``frame`` holds the states of ``client_ids``."""
        if self._drain is None:
            counters.sent_bytes += len(frame)
            self._put(frame)
        else:
            self._present.update(client_ids)

    def send_saved(self, number: int = 0) -> None:
        """Tell that the first ``number`` updates of this connection are stored.

        Without a number, tell what there is to tell to a member that has just asked for it.
        """
        self._saved = max(self._saved, number)
        if self.session.greeted and self._drain is None and self._saved > self._told_saved:
            self.send_frame(self._saved_frame())

    def _saved_frame(self) -> str:
        self._told_saved = self._saved
        return f"{_SAVED_HEAD}{self._saved}{_SAVED_TAIL}"

    def echo(self, update: bytes) -> None:
        """Send the member's own ``update`` back, if it wants that."""
        if self.echo_updates and update != EMPTY_UPDATE:
            self.send_update(update, update_frame(update))

    @property
    def is_closed(self) -> bool:
        """The connection is closed or closing; what it still sends is not to be looked at."""
        return self._closed

    def close(self, code: int, reason: str) -> None:
        """Close the connection; nothing is sent after that. ``code`` may be the project's own."""
        if self._closed:
            return
        # A websocket close frame holds at most 123 bytes of reason.
        short = reason.encode()[:123].decode(errors="ignore")
        self._send_message({"type": "websocket.close", "code": int(code), "reason": short})
        self._closed = True

    def refuse(self, error: MemberError) -> None:
        """Close the connection because of ``error``."""
        counters.refuse(error.close_code, error.cause)
        self.close(error.close_code, str(error))

    def detach(self) -> None:
        """Stop sending: the connection is gone."""
        self._closed = True
        if self._drain is not None:
            self._drain.cancel()

    # How it is sent.

    def _put(self, frame: bytes | str) -> None:
        """Send a frame to a client that reads."""
        if self._write is None or self._closed or not self._write(frame):
            self._start(_message(frame))

    def _send_message(self, message: dict[str, Any]) -> None:
        if self._drain is None:
            self._start(message)
        elif self._has_space(_size(message)):
            self._messages.append(message)
            self._messages_size += _size(message)
        else:
            self._evict()

    def _has_space(self, size: int) -> bool:
        if not self._messages:
            return True
        whole = self._messages_size + size
        return len(self._messages) < _MAX_REPLIES and whole <= self._settings.MAX_MEMBER_BACKLOG

    def _start(self, message: dict[str, Any]) -> None:
        if self._closed:
            return
        if self._needs_task:
            self._drain = asyncio.create_task(self._drain_backlog(self._send(message)))
            return
        sending = self._send(message).__await__()
        try:
            blocked_on = next(sending)
        except StopIteration:
            return
        except OSError:
            # The client is gone; the server tells the consumer so with a disconnect message.
            self._closed = True
        except Exception:
            # Some middleware needs a task, for a timeout for example: from now on it has one.
            self._needs_task = True
            self._start(message)
        else:
            self._drain = asyncio.create_task(self._drain_backlog(_resume(sending, blocked_on)))

    async def _drain_backlog(self, blocked: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._settings.SEND_TIMEOUT):
                await blocked
            while message := self._next_message():
                async with asyncio.timeout(self._settings.SEND_TIMEOUT):
                    await self._send(message)
        except TimeoutError:
            logger.warning(
                "A member reads too slowly and is disconnected.",
                extra={"room": self.room_name, "user": self.user_id},
            )
            self._evict()
        except OSError:
            self._closed = True
        except Exception as error:
            logger.warning(
                "A member cannot be sent to (%s) and is disconnected.",
                type(error).__name__,
                extra={"room": self.room_name, "user": self.user_id},
            )
            self._evict()
        finally:
            self._drain = None

    def _evict(self) -> None:
        counters.evictions += 1
        self._closed = True
        self.connection.evict()

    def _next_message(self) -> dict[str, Any] | None:
        """Return the next message that waits, in the shortest form that tells all."""
        if self._messages:
            message = self._messages.pop(0)
            self._messages_size -= _size(message)
            return message
        if self._closed:
            return None
        frame: bytes | str
        if self._needs_full_state:
            self._needs_full_state = False
            frame, *rest = self.room.answer(EMPTY_STATE)
            for frame_behind in rest:
                self._messages.append(_message(frame_behind))
                self._messages_size += len(frame_behind)
        elif self._updates:
            frame = update_frame(merge(self._updates))
            self._forget_updates()
        elif self._present:
            frame = self.room.presence.frame(self._present)
            self._present.clear()
        elif self.session.greeted and self._saved > self._told_saved:
            frame = self._saved_frame()
        else:
            return None
        counters.sent_bytes += len(frame)
        return _message(frame)

    def _forget_updates(self) -> None:
        self._updates.clear()
        self._updates_size = 0


def _message(frame: bytes | str) -> dict[str, Any]:
    return {"type": "websocket.send", "bytes" if isinstance(frame, bytes) else "text": frame}


def _size(message: dict[str, Any]) -> int:
    return len(message.get("bytes") or message.get("text") or "")


@coroutine
def _resume(sending: Generator[Any, None, None], blocked_on: Any) -> Generator[Any, None, None]:
    """Go on with a coroutine that has been run up to its first wait, in a task."""
    while True:
        try:
            yield blocked_on
        except BaseException as error:
            with suppress(StopIteration):
                blocked_on = sending.throw(error)
                continue
            return
        try:
            blocked_on = next(sending)
        except StopIteration:
            return
