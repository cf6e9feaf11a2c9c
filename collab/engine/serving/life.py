"""The life of one connection: its events, handled one at a time, and its end.

An idle connection needs no task. Where the server offers that, and no middleware has anything to do
afterwards, the application returns after a moment, and the socket runs it again at the next event:
a task with the coroutines of all middleware takes a fourth of the memory of a member.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from types import FrameType
from typing import Any

from channels.exceptions import StopConsumer

from collab.engine.connections.fast_path import Receive, Socket
from collab.engine.relay.layer_channel import LayerChannel
from collab.engine.serving.frame_intake import FrameIntake
from collab.wire import CloseCode

__all__ = ["ConnectionLife"]


class ConnectionLife(ABC):
    """Receives the events of one connection, until it ends.

    One with a channel of its own in the channel layer has two tasks, and does not rest.

    Args:
        receive: of the ASGI server.
        socket: of the connection, if the server offers it.
        intake: of its frames.
        layer_channel: a channel of its own, if it has one.
    """

    def __init__(
        self,
        receive: Receive,
        socket: Socket | None,
        intake: FrameIntake,
        layer_channel: LayerChannel | None,
    ) -> None:
        self._receive = receive
        self._socket = socket
        self._intake = intake
        self.layer_channel = layer_channel
        #: ``None`` while the connection rests.
        self._task = asyncio.current_task()
        #: The connection has ended its task itself.
        self._is_evicted = False
        #: Why it did, if that is an error.
        self._failure: BaseException | None = None
        # Channels handles one message at a time; so does this, also if not all are the client's.
        self._turn = None if self.layer_channel is None else asyncio.Lock()

    async def serve(self) -> None:
        """Handle events until the connection ends, or rests."""
        if self.layer_channel is not None:
            await self.layer_channel.start()
        try:
            if self._task is None:
                self._begin_again()
            # No coroutine of its own, which would wait as long as the connection lasts.
            while True:
                self._intake.busy -= 1
                if self._intake.may_rest and self._rest(sys._getframe()):
                    return
                message = await self._receive()
                self._intake.busy += 1
                if self._turn is None:
                    await self._handle_message(message)
                else:
                    async with self._turn:
                        await self._handle_message(message)
        except StopConsumer:
            pass
        except asyncio.CancelledError:
            if not self._is_evicted:
                raise
            assert self._task is not None
            self._task.uncancel()
            if self._failure is not None:
                await self.close(CloseCode.INTERNAL)
                raise self._failure from None
        except Exception:
            await self.close(CloseCode.INTERNAL)
            raise
        finally:
            if self._task is not None:
                await self._end()

    def _rest(self, frame: FrameType) -> bool:
        """Rest if nothing waits, and nothing else has to; return whether the connection does."""
        socket = self._socket
        if socket is not None and self._turn is None and socket.rest(self.serve, frame):
            self._task = None
        return self._task is None

    def _begin_again(self) -> None:
        self._task = asyncio.current_task()
        self._intake.busy += 1
        if self._is_evicted:
            raise StopConsumer

    @abstractmethod
    async def _handle_message(self, message: dict[str, Any]) -> None:
        """Handle an event."""

    @abstractmethod
    async def close(self, code: int) -> None:
        """Close the connection."""

    @abstractmethod
    async def _end(self) -> None:
        """Leave everything."""

    def evict(self) -> None:
        """End the connection without the client's help."""
        self._is_evicted = True
        if self._task is not None:
            self._task.cancel()
        else:
            assert self._socket is not None
            self._socket.wake()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self.evict()
