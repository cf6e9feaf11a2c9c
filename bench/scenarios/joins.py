"""Large documents are opened, and others who type elsewhere should not notice."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from bench.aims import MEANWHILE
from bench.authors import author
from bench.documents import Document, history_document, large_document, typed_document
from bench.load import Crowd
from bench.rounds import Pace, Rounds
from bench.servers import Running
from bench.storm import Aside, Target, aside, join, synchronize

from .base import STANDARD, Figures, Scenario, sampled, times

__all__ = ["ISOLATION", "JOINS", "Isolation", "Joins"]

_PAPER, _LARGE = 223_414, 20_000_000
#: Seconds from one update of those who type elsewhere to the next.
_PACE = 0.01
#: Large documents need longer rounds.
_SLOWLY = Pace(round=2.0)
#: Edits of a small document, about a line of text.
_LINE = 100


@dataclass(frozen=True, kw_only=True)
class _Storm(Scenario):
    """Many want a document, while two others type in a room of their own.

    Args:
        size: bytes of the document.
        kind: of the document: ``paper`` has a long history, ``line`` a line of text, ``large`` is
            a text of the size.
        at_once: how many want it at a time; each of them gets it once at least in a round.
    """

    size: int
    kind: Literal["paper", "line", "large"] = "large"
    at_once: int
    #: Names of figures: for each time that somebody gets it.
    cost: ClassVar[str]
    wait: ClassVar[str]

    def scaled(self, factor: float) -> Self:
        return replace(
            self,
            size=round(self.size * factor),
            at_once=times(self.at_once, factor),
            pace=self.pace.scaled(factor),
        )

    async def measure(self, server: Running) -> Sequence[Figures]:
        document, waited = self._document(), list[float]()
        async with _open(server, document), aside() as storm, Crowd([server], 1, 2) as others:

            async def rage(seconds: float) -> int:
                raging = self._start(storm, Target.of(server), document, seconds)
                await others.stream(author(0), _PACE, raging)
                waited[:] = await raging
                return len(waited)

            def samples() -> Mapping[str, Sequence[float]]:
                return {self.wait: waited, MEANWHILE: others.taken(server)}

            rounds = Rounds(server, self.pace, rage, samples)
            turns = await rounds.measure()
        return [
            {self.cost: turn.cost * 1e3, **sampled(turn), **rounds.sureness("all")}
            for turn in turns
        ]

    def _document(self) -> Document:
        if self.kind == "paper":
            return history_document()
        return typed_document(self.size) if self.kind == "line" else large_document(self.size)

    @abstractmethod
    def _start(
        self, storm: Aside, target: Target, document: Document, seconds: float
    ) -> asyncio.Future[list[float]]:
        """Open the document by clients for a time; return how long each waits for it."""


@asynccontextmanager
async def _open(server: Running, document: Document) -> AsyncIterator[None]:
    """Give the server a document, which two have open."""
    async with Crowd([server], 1, 2, prefix="large") as crowd:
        await crowd.seed(document.pieces, document.clocks)
        await crowd.saved()
        yield


class Joins(_Storm):
    """They join, and leave when they have it, and make room for the next."""

    cost = "CPU per join, ms"
    wait = "document there after"

    def _start(
        self, storm: Aside, target: Target, document: Document, seconds: float
    ) -> asyncio.Future[list[float]]:
        return storm.run(join, target, "large-0", document.clocks, self.at_once, seconds)


class Isolation(_Storm):
    """They ask for the whole of it again and again."""

    cost = "CPU per answer, ms"
    wait = "whole document after"

    def _start(
        self, storm: Aside, target: Target, document: Document, seconds: float
    ) -> asyncio.Future[list[float]]:
        return storm.run(synchronize, target, "large-0", self.at_once, seconds)


JOINS = (
    Joins(
        name="joins-small",
        title="50 at a time join a document of a line",
        servers=(*STANDARD, "y-websocket-leveldb", "hocuspocus-memory"),
        size=_LINE,
        kind="line",
        at_once=50,
        quick=True,
    ),
    Joins(
        name="joins-history",
        title="200 at a time join a document of 260,000 edits",
        size=_PAPER,
        kind="paper",
        at_once=200,
        pace=_SLOWLY,
    ),
    Joins(
        name="joins-20mb",
        title="20 at a time join a document of 20 MB",
        servers=("collab", "hocuspocus", "pycrdt-websocket"),
        size=_LARGE,
        at_once=20,
        pace=_SLOWLY,
    ),
)
ISOLATION = (
    Isolation(
        name="isolation",
        title="4 ask for a document of 20 MB again and again",
        size=_LARGE,
        # The others do not always come to an end.
        servers=("collab", "collab-pure", "y-websocket-server", "hocuspocus"),
        at_once=4,
        pace=_SLOWLY,
    ),
)
