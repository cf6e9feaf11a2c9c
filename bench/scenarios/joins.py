"""Many open one large document."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import cache
from time import perf_counter
from typing import Any, Self

from pycrdt import Doc, Text

from bench.load import Author, Crowd, Member, Update
from bench.make_trace import make_trace
from bench.process import quiet
from bench.servers import Running
from bench.trace_file import in_bytes, type_into

from .base import Figures, Scenario, percentiles, times

__all__ = ["JOINS", "Joins"]


@dataclass(frozen=True, kw_only=True)
class Joins(Scenario):
    """Many open one large document at once, as after a restart.

    Args:
        members: how many.
        edits: keystrokes in the document.
    """

    family = "joins"
    members: int
    edits: int

    def scaled(self, factor: float) -> Self:
        return replace(
            self, members=max(2, times(self.members, factor)), edits=times(self.edits, factor)
        )

    async def measure(self, server: Running) -> Figures:
        document = _large_document(self.edits)
        async with Crowd([server], 1, 2) as crowd:
            await crowd.write([[document]])
            await self._join(server, times(self.members, 0.2), document)
            before = await quiet(*server.pids)
            seconds = await self._join(server, self.members, document)
            used = await quiet(*server.pids) - before
        cost = {"CPU per join, ms": used / self.members * 1e3}
        return cost | percentiles("document there after,", seconds)

    async def _join(self, server: Running, number: int, document: Update) -> list[float]:
        members = [Member(server, "room-0") for _ in range(number)]
        seconds = await asyncio.gather(*(_timed_join(member, document) for member in members))
        for member in members:
            member.close()
        return seconds


async def _timed_join(member: Member, document: Update) -> float:
    began = perf_counter()
    received = await member.open()
    seconds = perf_counter() - began
    if document.mark not in received:
        raise ValueError("A member has got a part of the document only.")
    return seconds


@cache
def _large_document(edits: int) -> Update:
    """Return a document that was written keystroke by keystroke."""
    doc: Doc[Any] = Doc(client_id=1)
    text: Text = doc.get("text", type=Text)
    trace = make_trace(length=edits)
    text += trace.start
    for transaction in in_bytes(trace):
        with doc.transaction():
            type_into(text, transaction)
    (update,) = Author(0).write(1)
    doc.apply_update(update.data)
    return replace(update, data=doc.get_update())


JOINS = (
    Joins(
        name="joins-125kb", title="300 open a document of 125 KB at once", members=300, edits=48_000
    ),
)
