"""The aims beside the best peer, and whether they were reached."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .results import Medians
from .table import short

__all__ = ["AIMS", "MEANWHILE", "OURS", "Aim", "verdicts"]

#: The server that has to reach it: stored, and everybody is told what is.
OURS = "collab"

#: How long what others type elsewhere takes while a large document is wanted.
MEANWHILE = "typing in a small room meanwhile"

_TYPING = f"{MEANWHILE}, p99, ms"
_COST = "CPU per delivered update, µs"


@dataclass(frozen=True)
class Aim:
    """A figure that is to be so much better than that of the best peer, or below a bound.

    Args:
        scenario: its name.
        figure: what that tells; ``*`` stands for anything.
        times: how many times better than the best peer at least.
        bound: what the figure itself may be at most.
    """

    scenario: str
    figure: str
    times: float | None = None
    bound: float | None = None


AIMS = (
    Aim("fanout-50", f"bursts of all: {_COST}", times=2.5),
    Aim("fanout-50", f"one at a time: {_COST}", times=1.4),
    Aim("fanout-50", f"bursts of one: {_COST}", times=2.5),
    *(
        Aim(f"fanout-{size}", f"{how}: {_COST}", times=1.3)
        for size in (400, 1500)
        for how in ("one at a time", "bursts of one", "bursts of all")
    ),
    *(
        Aim(f"rooms-{rooms}", f"{how}: {_COST}", times=times)
        for rooms, one, many in ((20, 1.5, 1.8), (200, 1.5, 1.8), (2000, 1.5, 1.5))
        for how, times in (("one at a time", one), ("bursts", many))
    ),
    Aim("turnover", "after * rooms / before", bound=1.1),
    Aim("joins-small", "CPU per join, ms", times=1.3),
    Aim("presence-50", "CPU per second of moving, ms", times=3),
    Aim("presence-500", "CPU per second of moving, ms", times=3),
    *(
        aim
        for name in ("joins-history", "joins-20mb")
        for aim in (Aim(name, "CPU per join, ms", times=3), Aim(name, _TYPING, bound=50))
    ),
    Aim("memory-documents", "memory per document, *", times=3),
    Aim("isolation", _TYPING, times=5),
    *(
        Aim(f"relay-{kind}", "added by the second process / one process", bound=1.5)
        for kind in ("typing", "burst")
    ),
)


def verdicts(
    medians: Medians, titles: Mapping[str, str], peers: Collection[str]
) -> Iterator[Sequence[str]]:
    """Yield lines of a table: the scenario, the figure, what to reach, what was found, how it is.

    Args:
        medians: of figures; what was not measured gets no line.
        titles: of scenarios, by their names.
        peers: names of those that ours are compared with.
    """
    for aim in AIMS:
        for figure, values in medians.get(aim.scenario, {}).items():
            if OURS in values and fnmatchcase(figure, aim.figure):
                yield [titles[aim.scenario], figure, *_verdict(aim, values, peers)]


def _verdict(aim: Aim, values: Mapping[str, float], peers: Collection[str]) -> Sequence[str]:
    ours = values[OURS]
    if aim.bound is not None:
        return f"at most {aim.bound:g}", short(ours), _word(ours <= aim.bound)
    best = min((value for name, value in values.items() if name in peers), default=None)
    if best is None:
        return f"{aim.times:g} times", "", "no peer has done it"
    # What is too little to be measured is better than anything.
    times = best / ours if ours > 0 else float("inf")
    return f"{aim.times:g} times", f"{times:.2f} times", _word(times >= (aim.times or 0))


def _word(is_reached: bool) -> str:
    return "reached" if is_reached else "not reached"
