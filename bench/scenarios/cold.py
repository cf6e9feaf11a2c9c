"""Opening a document that no process has loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import ClassVar, Self

from bench.authors import author
from bench.clocks import Clocks, Range, covers
from bench.load import Crowd, Member
from bench.process import quiet
from bench.servers import Contestant, Running
from bench.websocket import settle
from bench.week import write_updates

from .base import Figures, Scenario, times

__all__ = ["COLD", "Cold"]

#: Updates that wait for a peer at once, at most: with all of a hundred thousand at once, one of
#: them delivers next to nothing for minutes.
_PORTION = 1_000


class _Newcomer(Member):
    """Has the document once all is there: one of the peers says first that there is nothing."""

    def __init__(self, server: Running, room: str, content: Clocks) -> None:
        super().__init__(server, room)
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._content = content

    def take_update(self, found: Sequence[Range]) -> None:
        # Another one sends what it has just loaded to those who have it already.
        super().take_update(
            [each for each in found if each.clock >= self.clocks.get(each.author, 0)]
        )

    def take(self, data: bytes) -> None:
        super().take(data)
        if covers(self.clocks, self._content):
            settle(self.complete)

    def fail(self, error: Exception) -> None:
        super().fail(error)
        settle(self.complete, error)


@dataclass(frozen=True, kw_only=True)
class Cold(Scenario):
    """A document is opened that was stored update by update, after the server was started anew.

    Ours get each update as a row of the log. The others get them over a connection, and store
    what they make of them.

    Args:
        rows: updates of each document.
        documents: that are opened, one after the other.
    """

    rows: int
    documents: int
    starts_anew: ClassVar[bool] = True

    def scaled(self, factor: float) -> Self:
        return replace(self, rows=times(self.rows, factor))

    def suits(self, contestant: Contestant) -> bool:
        return contestant.is_stored

    async def measure(self, server: Running) -> Sequence[Figures]:
        names = [f"room-{number}" for number in range(self.documents)]
        await self._store(server, names)
        await asyncio.to_thread(server.restart)
        # What is loaded with the first document is no document's.
        await _open(server, "warm-up", {})
        before = await quiet(*server.pids)
        content = {author(0).client_id: self.rows}
        seconds = [await _open(server, name, content) for name in names]
        used = await quiet(*server.pids) - before
        cost = used / len(names) * 1e3
        return [{"document there after, ms": median(seconds) * 1e3, "CPU until quiet, ms": cost}]

    async def _store(self, server: Running, names: Sequence[str]) -> None:
        if server.contestant.is_peer:
            async with Crowd([server], len(names), 2) as crowd:
                for start in range(0, self.rows, _PORTION):
                    await crowd.write([author(0)], min(_PORTION, self.rows - start))
            # They store what is left when the last member has gone.
            await quiet(*server.pids)
        else:
            await asyncio.to_thread(self._append, server, names)

    def _append(self, server: Running, names: Sequence[str]) -> None:
        with TemporaryDirectory() as directory:
            file = Path(directory) / "updates"
            write_updates(file, map(author(0).update, range(self.rows)))
            calls = "\n".join(f"append({name!r}, {str(file)!r})" for name in names)
            server.run_code(f"from bench.stored import append\n{calls}")


async def _open(server: Running, room: str, content: Clocks) -> float:
    """Return how long it takes until a newcomer has all of a document."""
    newcomer = _Newcomer(server, room, content)
    began = perf_counter()
    await newcomer.open()
    await newcomer.complete
    seconds = perf_counter() - began
    newcomer.close()
    return seconds


def _cold(rows: int, documents: int) -> Cold:
    return Cold(
        name=f"cold-{rows}",
        title=f"open a cold document of {rows:,} update{'s' if rows > 1 else ''}",
        servers=("collab", "collab-postgres", "hocuspocus", "y-websocket-leveldb"),
        rows=rows,
        documents=documents,
        deadline=120.0,
    )


COLD = (_cold(1, documents=20), _cold(1_000, documents=5), _cold(100_000, documents=1))
