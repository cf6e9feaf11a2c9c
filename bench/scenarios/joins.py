"""Large documents are opened, and others who type elsewhere should not notice."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self

from bench.authors import author
from bench.documents import Document, history_document, large_document
from bench.load import Crowd
from bench.process import quiet
from bench.servers import Running
from bench.storm import Aside, Target, aside, join, synchronize

from .base import FASTEST, Figures, Scenario, percentiles, times

__all__ = ["ISOLATION", "JOINS", "Isolation", "Joins"]

_PAPER, _LARGE = 223_414, 20_000_000
#: Seconds from one update of those who type elsewhere to the next.
_PACE = 0.01
#: Part of the work that comes before, so that compilers in the server get to know it.
_WARM_UP = 0.2


@dataclass(frozen=True, kw_only=True)
class _Storm(Scenario):
    """Many want a document, while two others type in a room of their own.

    Args:
        size: bytes of the document.
        is_paper: it is one with a long history.
        at_once: how many want it at a time.
        seconds: for how long; each of them gets it once at least.
    """

    size: int
    is_paper: bool = False
    at_once: int
    seconds: float

    def scaled(self, factor: float) -> Self:
        return replace(
            self.shortened(factor),
            size=round(self.size * factor),
            at_once=times(self.at_once, factor),
        )

    def shortened(self, factor: float) -> Self:
        """Return one that does not last so long."""
        return replace(self, seconds=self.seconds * factor)

    async def measure(self, server: Running) -> Figures:
        document = history_document() if self.is_paper else large_document(self.size)
        async with _open(server, document), aside() as storm, Crowd([server], 1, 2) as others:
            await self.shortened(_WARM_UP).rage(storm, server, document, others)
            others.latencies[server].clear()
            before = await quiet(*server.pids)
            seconds = await self.rage(storm, server, document, others)
            used = await quiet(*server.pids) - before
        return self._figures(used / len(seconds), seconds) | percentiles(
            "typing in a small room meanwhile", others.latencies[server]
        )

    async def rage(
        self, storm: Aside, server: Running, document: Document, others: Crowd
    ) -> list[float]:
        """Return the seconds that each had to wait for the document."""
        raging = self._start(storm, Target.of(server), document)
        await others.stream(author(0), _PACE, raging)
        return await raging

    @abstractmethod
    def _start(
        self, storm: Aside, target: Target, document: Document
    ) -> asyncio.Future[list[float]]:
        """Let them want the document; return how long each waits for it."""

    @abstractmethod
    def _figures(self, cpu: float, seconds: list[float]) -> Figures:
        """Return what to say of CPU seconds for each, and of the seconds that they waited."""


@asynccontextmanager
async def _open(server: Running, document: Document) -> AsyncIterator[None]:
    """Give the server a document, which two have open."""
    async with Crowd([server], 1, 2, prefix="large") as crowd:
        await crowd.seed(document.pieces, document.clocks)
        await crowd.saved()
        yield


class Joins(_Storm):
    """They join, and leave when they have it, and make room for the next."""

    family = "joins"

    def _start(
        self, storm: Aside, target: Target, document: Document
    ) -> asyncio.Future[list[float]]:
        return storm.run(join, target, "large-0", document.clocks, self.at_once, self.seconds)

    def _figures(self, cpu: float, seconds: list[float]) -> Figures:
        return {"CPU per join, ms": cpu * 1e3} | percentiles("document there after", seconds)


class Isolation(_Storm):
    """They ask for the whole of it again and again."""

    family = "isolation"

    def _start(
        self, storm: Aside, target: Target, document: Document
    ) -> asyncio.Future[list[float]]:
        return storm.run(synchronize, target, "large-0", self.at_once, self.seconds)

    def _figures(self, cpu: float, seconds: list[float]) -> Figures:
        return {"CPU per answer, ms": cpu * 1e3} | percentiles("whole document after", seconds)


JOINS = (
    Joins(
        name="joins-history",
        title="200 at a time join a document of 260,000 edits",
        size=_PAPER,
        is_paper=True,
        at_once=200,
        seconds=2,
        quick=True,
    ),
    Joins(
        name="joins-20mb",
        title="20 at a time join a document of 20 MB",
        servers=("collab", "hocuspocus", "pycrdt-websocket"),
        size=_LARGE,
        at_once=20,
        seconds=2,
    ),
)
ISOLATION = (
    Isolation(
        name="isolation",
        title="4 ask for a document of 20 MB again and again",
        size=_LARGE,
        # The others do not always come to an end.
        servers=FASTEST,
        at_once=4,
        seconds=2,
    ),
)
