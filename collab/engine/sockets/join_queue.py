"""Clients join a few at a time, so that members need not wait for all of them.

When hundreds of clients come back at once, the event loop would answer all of their requests before
it read the next keystroke of a member.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from collab.engine.runtime.per_loop import PerLoop

__all__ = ["JoinQueue", "current_join_queue"]

#: Clients that join in one turn of the event loop, at most.
_AT_ONCE = 8


class JoinQueue:
    """The clients of one event loop that are about to join, in the order in which they came."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], object]] = deque()
        #: How many more may join in this turn.
        self._left = _AT_ONCE

    def add(self, join: Callable[[], object]) -> None:
        """Call ``join`` when it is this client's turn, which may be now."""
        if self._left == _AT_ONCE:
            self._loop.call_soon(self._begin_turn)
        if self._left:
            self._left -= 1
            join()
        else:
            self._waiting.append(join)

    def _begin_turn(self) -> None:
        if not self._waiting:
            self._left = _AT_ONCE
            return
        # Clients that come in this turn wait behind these.
        self._left = 0
        for join in [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]:
            # Each in a call of its own: an error of one keeps out no other.
            self._loop.call_soon(join)
        self._loop.call_soon(self._begin_turn)


_join_queues = PerLoop(JoinQueue)
#: Return the queue of the running event loop.
current_join_queue = _join_queues.current
