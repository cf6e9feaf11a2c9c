"""The base of scenarios, and what all of them use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from bench.load import Crowd
from bench.rounds import BRIEF, STANDARD_PACE, Measured, Pace, Rounds
from bench.servers import Contestant, Running

__all__ = [
    "EVERY",
    "FASTEST",
    "STANDARD",
    "STORED_OR_NOT",
    "Figures",
    "Scenario",
    "combined",
    "delivery",
    "percentiles",
    "sampled",
    "times",
]

#: Names of figures with their units, and the values; less is better, always.
Figures = dict[str, float]

#: The servers that a scenario is measured with unless it says otherwise.
STANDARD = ("collab", "collab-pure", "y-websocket-server", "hocuspocus", "pycrdt-websocket")
#: Those of them that are best where updates are told to members.
FASTEST = ("collab", "collab-pure", "y-websocket-server", "hocuspocus", "bare-hub")
#: Those that deliver updates, with and without what they store.
STORED_OR_NOT = (
    *("collab", "collab-memory", "y-websocket-server", "y-websocket-leveldb"),
    *("hocuspocus", "hocuspocus-memory", "bare-hub"),
)
#: All that there are.
EVERY = ()


@dataclass(frozen=True, kw_only=True)
class Scenario(ABC):
    """A situation that servers are put into.

    Args:
        name: what the command line calls it: its family, and what sets it apart there.
        title: what tables call it.
        servers: names of those that are measured, in their order.
        deadline: seconds of its turns after which a server is said to have failed.
        quick: it belongs to what is measured when there is little time.
        pace: for how long a server works before it is measured, and while it is.
    """

    name: str
    title: str
    servers: Sequence[str] = STANDARD
    deadline: float = 300.0
    quick: bool = False
    pace: Pace = STANDARD_PACE
    #: It begins with servers that were just started: each repetition starts them anew. All others
    #: measure the same processes in turns.
    starts_anew: ClassVar[bool] = False

    @property
    def family(self) -> str:
        """The first part of the name, which the command line takes for all scenarios of a kind."""
        return self.name.partition("-")[0]

    @abstractmethod
    async def measure(self, server: Running) -> Sequence[Figures]:
        """Put ``server``, which is new and has no documents, into it; return what each turn cost.

        Raises:
            Exception: of any kind, if the server does not do what it should; the message is
                recorded in place of figures.
        """

    @abstractmethod
    def scaled(self, factor: float) -> Self:
        """Return one with less of everything, to try whether it works."""

    def brief(self) -> Self:
        """Return one that is measured for less time."""
        return replace(self, pace=BRIEF)

    def repeated(self, times: int) -> Self:
        """Return one that measures warm servers in this many turns."""
        return replace(self, pace=replace(self.pace, turns=times))

    def suits(self, contestant: Contestant) -> bool:
        """Return whether a server can be put into it at all."""
        return True


async def delivery(
    server: Running, pace: Pace, crowd: Crowd, what: str, work: Callable[[float], Awaitable[None]]
) -> Sequence[Figures]:
    """Return what it costs to deliver what rounds of ``work`` write, and how long that takes.

    A round ends when the server has reported that all is stored, if it does, and rests.
    """

    async def one_round(seconds: float) -> int:
        await work(seconds)
        await crowd.saved()
        return crowd.delivered

    rounds = Rounds(server, pace, one_round, lambda: {"delivered after": crowd.taken(server)})
    return [
        {
            f"{what}: CPU per delivered update, µs": turn.cost * 1e6,
            **{f"{what}: {figure}": value for figure, value in sampled(turn).items()},
            **rounds.sureness(what),
        }
        for turn in await rounds.measure()
    ]


def combined(*figures: Sequence[Figures]) -> Sequence[Figures]:
    """Return all figures of each turn, of several kinds of work."""
    return [
        {what: value for each in turn for what, value in each.items()}
        for turn in zip(*figures, strict=True)
    ]


def sampled(turn: Measured) -> Figures:
    """Return percentiles of all samples of a turn, which are in seconds."""
    return {
        what: value
        for name, seconds in turn.samples.items()
        for what, value in percentiles(name, seconds).items()
    }


def times(number: int, factor: float) -> int:
    """Return ``factor`` times ``number``, but at least one."""
    return max(1, round(number * factor))


def percentiles(what: str, seconds: Sequence[float]) -> Figures:
    """Return the median and what one in a hundred exceeds."""
    ordered, last = sorted(seconds), len(seconds) - 1
    shares = {"p50": 0.5, "p99": 0.99}
    return {
        f"{what}, {name}, ms": ordered[round(last * share)] * 1e3 for name, share in shares.items()
    }
