"""Members move their cursors, and one writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from time import perf_counter
from typing import Self

from bench.authors import author
from bench.load import Crowd, Member
from bench.rounds import Pace, Rounds
from bench.servers import Running
from collab.protocol.frames import PresenceState, presence_frame

from .base import Figures, Scenario, sampled, times

__all__ = ["PRESENCE", "Presence"]

#: Seconds from one move of a cursor to the next, and from one update to the next.
_MOVE, _WRITE = 0.1, 0.05
#: What is due within so many seconds is sent at once.
_STEP = 0.005
#: Members whose view is looked at, and how often in seconds.
_OBSERVERS, _SAMPLE = 5, 0.05
#: Seconds from one look at whether all has arrived to the next.
_INTERVAL = 0.1


class _Movers:
    """Members who move their cursors.

    Args:
        members: who they are; their client ids of presence are 1, 2 and so on.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        #: When they sent their states, each in the place of its clock; 0 is before the first.
        self._sent = [[0.0] for _ in members]

    def move(self, number: int) -> None:
        """Move the cursor of one member."""
        sent = self._sent[number]
        state = {
            "user": {"name": f"Member {number}", "color": "#30bced", "colorLight": "#30bced33"},
            "cursor": {"anchor": len(sent), "head": len(sent) + number},
        }
        clock = len(sent)
        sent.append(perf_counter())
        frame = presence_frame([PresenceState(number + 1, clock, json.dumps(state))])
        self.members[number].say(frame)

    async def move_on(self, seconds: float) -> None:
        """Move all cursors at an even pace for a time."""
        began = perf_counter()
        for number in range(round(seconds / _MOVE * len(self.members))):
            due = began + number * _MOVE / len(self.members)
            if due > perf_counter() + _STEP:
                await asyncio.sleep(due - perf_counter())
            self.move(number % len(self.members))

    def ages(self, observer: Member) -> Iterator[float]:
        """Yield how old the states of others are that ``observer`` sees."""
        now = perf_counter()
        for number, sent in enumerate(self._sent):
            if self.members[number] is not observer:
                yield now - sent[observer.seen[number + 1]]

    def all_see(self, members: Sequence[Member]) -> bool:
        """Return whether these have the last state of every one, apart from their own."""
        return all(
            member is mover or member.seen.get(number + 1, 0) == len(self._sent[number]) - 1
            for member, (number, mover) in product(members, enumerate(self.members))
        )


@dataclass(frozen=True, kw_only=True)
class Presence(Scenario):
    """Members move their cursors ten times a second, and one more writes.

    Args:
        movers: how many.
    """

    movers: int

    def scaled(self, factor: float) -> Self:
        movers = max(2, times(self.movers, factor))
        pace = self.pace.scaled(factor)
        return replace(self, movers=movers, pace=replace(pace, round=max(0.3, pace.round)))

    async def measure(self, server: Running) -> Sequence[Figures]:
        async with Crowd([server], 1, self.movers + 1) as crowd:
            movers = _Movers(crowd.members[1:])
            await self._appear(crowd, movers)
            ages: list[float] = []

            async def move(seconds: float) -> int:
                ages[:] = await self._move(crowd, movers, seconds)
                await self._arrival(crowd, movers)
                return 1

            def samples() -> Mapping[str, Sequence[float]]:
                return {
                    "writer's updates delivered after": crowd.taken(server),
                    "cursors are seen that are old": ages,
                }

            rounds = Rounds(server, self.pace, move, samples)
            turns = await rounds.measure()
        return [
            {
                "CPU per second of moving, ms": turn.cost / self.pace.round * 1e3,
                **sampled(turn),
                **rounds.sureness("all"),
            }
            for turn in turns
        ]

    async def _appear(self, crowd: Crowd, movers: _Movers) -> None:
        for number in range(self.movers):
            movers.move(number)
        await self._arrival(crowd, movers)

    async def _arrival(self, crowd: Crowd, movers: _Movers) -> None:
        await crowd.until(partial(movers.all_see, crowd.members), _INTERVAL)

    async def _move(self, crowd: Crowd, movers: _Movers, seconds: float) -> list[float]:
        """Move all cursors, and write by one; return how old the cursors are that some see."""
        async with asyncio.TaskGroup() as group:
            moving = group.create_task(movers.move_on(seconds))
            watching = group.create_task(self._watch(crowd.members[:_OBSERVERS], movers, moving))
            await crowd.stream(author(0), _WRITE, moving)
        return watching.result()

    async def _watch(
        self, observers: Sequence[Member], movers: _Movers, until: asyncio.Task[None]
    ) -> list[float]:
        ages: list[float] = []
        while not until.done():
            ages += [age for observer in observers for age in movers.ages(observer)]
            await asyncio.sleep(_SAMPLE)
        return ages


PRESENCE = (
    Presence(
        name="presence-50",
        title="50 move their cursors, one writes",
        servers=("collab", "y-websocket-server", "hocuspocus"),
        movers=50,
        pace=Pace(round=2.0),
    ),
    Presence(
        name="presence-500",
        title="500 move their cursors, one writes",
        # y-websocket-server needs more than twenty seconds for it.
        servers=("collab", "hocuspocus"),
        movers=500,
        pace=Pace(round=2.0),
    ),
)
