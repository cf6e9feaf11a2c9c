"""Clients that burden a server, in a process of their own.

What they receive takes time to look at. In the process of those whose latency is measured, that
time would count as the server's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing import get_context
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

import uvloop

from .authors import author
from .clocks import Clocks, LostUpdate, Range, covers
from .load import Member, Reader
from .process import LOAD_CORES
from .servers import CONTESTANTS, Running

__all__ = ["Aside", "Target", "aside", "join", "synchronize"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

#: Seconds from one edit of a document that is synchronized to the next.
_EDIT_INTERVAL = 1.0


@dataclass(frozen=True)
class Target:
    """A running server, as another process knows it."""

    name: str
    pid: int
    port: int
    path: str

    @classmethod
    def of(cls, server: Running) -> Target:
        """Return the data of ``server`` that another process needs."""
        return cls(server.contestant.name, server.pid, server.port, server.path(""))

    def running(self) -> Running:
        """Return the server."""
        return Running(CONTESTANTS[self.name], self.pid, self.port, self.path)


class Aside:
    """Runs coroutine functions in another process.

    Args:
        pool: of one process.
    """

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run(
        self,
        function: Callable[_Arguments, Coroutine[Any, Any, _Result]],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> asyncio.Future[_Result]:
        """Return the future result of ``function``, which is of a module, as its arguments are."""
        call = partial(_run, partial(function, *args, **kwargs))
        return asyncio.get_running_loop().run_in_executor(self._pool, call)


@asynccontextmanager
async def aside() -> AsyncIterator[Aside]:
    """Start a process, which those whose latency is measured take precedence of."""
    with ProcessPoolExecutor(1, get_context("spawn"), _step_back) as pool:
        yield Aside(pool)


def _step_back() -> None:
    os.sched_setaffinity(0, LOAD_CORES)
    os.nice(10)


def _run(function: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(function())


class _Client(Member):
    """Asks again and again; a server may answer with what it tells the members a moment later."""

    def take_update(self, found: Sequence[Range]) -> None:
        known = self.clocks
        super().take_update([each for each in found if each.clock >= known.get(each.author, 0)])


async def join(
    target: Target, room: str, clocks: Clocks, at_once: int, seconds: float
) -> list[float]:
    """Join a document by clients one after the other, in a number of places, for a time.

    Returns:
        the seconds from connecting to having the document, of each.

    Raises:
        LostUpdate: one of them got less than ``clocks``.
    """
    server, reader, end = target.running(), Reader(), perf_counter() + seconds
    clients = (_join_on(server, room, clocks, reader, end) for _ in range(at_once))
    return [*chain.from_iterable(await asyncio.gather(*clients))]


async def _join_on(
    server: Running, room: str, clocks: Clocks, reader: Reader, end: float
) -> list[float]:
    found: list[float] = []
    while not found or perf_counter() < end:
        member = _Client(server, room, reader)
        began = perf_counter()
        await member.open()
        found.append(perf_counter() - began)
        member.close()
        if not covers(member.clocks, clocks):
            raise LostUpdate("a newcomer has got a part of the document only")
    return found


async def synchronize(target: Target, room: str, clients: int, seconds: float) -> list[float]:
    """Ask for the whole document again and again by clients, for a time; it changes meanwhile.

    Returns:
        the seconds that each answer took.
    """
    server, reader, end = target.running(), Reader(), perf_counter() + seconds
    members = [_Client(server, room, reader) for _ in range(clients)]
    await asyncio.gather(*(member.open() for member in members))
    editing = asyncio.create_task(_edit(members[0]))
    found = await asyncio.gather(*(_ask_on(member, end) for member in members))
    editing.cancel()
    for member in members:
        member.close()
    return [*chain.from_iterable(found)]


async def _ask_on(member: Member, end: float) -> list[float]:
    found: list[float] = []
    while not found or perf_counter() < end:
        began = perf_counter()
        await member.ask()
        found.append(perf_counter() - began)
    return found


async def _edit(member: Member) -> None:
    """Keep all encoded documents from being of use for long."""
    clock = member.clocks.get(author(0).client_id, 0)
    while True:
        await asyncio.sleep(_EDIT_INTERVAL)
        member.write(author(0).update(clock))
        clock += 1
