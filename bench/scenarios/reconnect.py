"""A server is killed and started again, and all come back at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import ClassVar, Self

from bench.clocks import covers
from bench.documents import Document, history_document
from bench.load import Crowd, Member, Reader
from bench.process import cpu_seconds, quiet
from bench.servers import Running

from .base import FASTEST, Figures, Scenario, percentiles, times

__all__ = ["RECONNECT", "Reconnect"]

#: Seconds within which servers store what they have.
_STORING = 3.0
#: How often a member looks whether all is there, in seconds.
_INTERVAL = 0.01


@dataclass(frozen=True, kw_only=True)
class Reconnect(Scenario):
    """Members of a room reconnect after their server was killed and started again.

    They have the document, as all do that have it open, and give it to a server that has lost it.

    Args:
        members: how many.
    """

    members: int
    starts_anew: ClassVar[bool] = True

    def scaled(self, factor: float) -> Self:
        return replace(self, members=max(2, times(self.members, factor)))

    async def measure(self, server: Running) -> Sequence[Figures]:
        document = history_document()
        async with Crowd([server], 1, 2) as crowd:
            await crowd.seed(document.pieces, document.clocks)
            await crowd.saved()
        await asyncio.sleep(_STORING)
        await asyncio.to_thread(_kill, server)
        before, began = cpu_seconds(*server.pids), perf_counter()
        reader = Reader()
        members = [Member(server, "room-0", reader, document) for _ in range(self.members)]
        seconds = await asyncio.gather(*(_come_back(each, document) for each in members))
        last = perf_counter() - began
        used = await quiet(*server.pids) - before
        for member in members:
            member.close()
        return [
            {
                "CPU until all are back, ms": used * 1e3,
                "all are back after, ms": last * 1e3,
                **percentiles("document there after", seconds),
            }
        ]


def _kill(server: Running) -> None:
    os.kill(server.pid, signal.SIGKILL)
    server.restart()


async def _come_back(member: Member, document: Document) -> float:
    began = perf_counter()
    await member.open()
    # It may come later, from others who have it.
    while not covers(member.clocks, document.clocks):  # noqa: ASYNC110
        await asyncio.sleep(_INTERVAL)
    return perf_counter() - began


RECONNECT = (
    Reconnect(
        name="reconnect",
        title="1,000 come back after the server was killed",
        # The others do not come to an end.
        servers=FASTEST,
        members=1_000,
    ),
)
