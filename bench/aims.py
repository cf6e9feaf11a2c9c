"""The aims beside other servers, and whether they were reached."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .results import Medians
from .table import short

__all__ = ["ADDRESSED", "AIMS", "MEANWHILE", "OURS", "Aim", "verdicts"]

#: The servers that have to reach them: stored, and every client is told what is.
OURS, ADDRESSED = "collab", "collab-addressed"

#: How long what others type elsewhere takes while a large document is wanted.
MEANWHILE = "typing in a small room meanwhile"

_TYPING = f"{MEANWHILE}, p99, ms"
_COST = "CPU per delivered update, µs"
_JOIN = "CPU per join, ms"
_HUB = "bare-hub"
_Y_WEBSOCKET, _LEVELDB, _HOCUSPOCUS = "y-websocket-server", "y-websocket-leveldb", "hocuspocus"


@dataclass(frozen=True)
class Aim:
    """A bound for a figure, or for its ratio to that of another server.

    Args:
        scenario: its name.
        figure: its name; ``*`` stands for anything.
        times: how many times better than the other server at least.
        bound: the figure at most; with ``beside``, how many times the other server's at most.
        beside: the other server; by default the best peer.
        like: a scenario; the addressed server is as far ahead here as the plain one is there.
    """

    scenario: str
    figure: str
    times: float | None = None
    bound: float | None = None
    beside: str | None = None
    like: str | None = None


AIMS = (
    *(
        Aim("rooms-200", f"{how}: {_COST}", times=times, beside=beside)
        for how, times, beside in (
            ("one at a time", 1.5, _Y_WEBSOCKET),
            ("bursts", 1.8, _Y_WEBSOCKET),
            ("one at a time", 3.5, _HOCUSPOCUS),
            ("one at a time", 5.0, _LEVELDB),
        )
    ),
    *(Aim("rooms-2000", f"{how}: {_COST}", times=1.5) for how in ("one at a time", "bursts")),
    Aim("turnover", "after * rooms / before", bound=1.1),
    Aim("fanout-50", f"one at a time: {_COST}", times=1.4),
    *(
        Aim("fanout-50", f"bursts of {which}: {_COST}", times=2.5, beside=_HOCUSPOCUS)
        for which in ("one", "all")
    ),
    Aim("fanout-400", f"bursts of one: {_COST}", times=1.3),
    Aim("joins-small", _JOIN, times=1.3),
    Aim("joins-history", _JOIN, times=1.7),
    Aim("joins-20mb", _JOIN, times=3),
    *(Aim(name, _TYPING, bound=50) for name in ("joins-history", "joins-20mb")),
    Aim("memory-members", "memory per member, KB", times=0.9),
    Aim("memory-rooms", "memory per room, KB", times=1.0),
    Aim("memory-documents", "memory per document, just written, KB", times=1.0),
    *(
        Aim(scenario, f"one at a time: {_COST}", bound=bound, beside=_HUB)
        for scenario, bound in (("fanout-50", 1.6), ("rooms-200", 3.0), ("rooms-2000", 4.0))
    ),
    *(
        Aim(name, "CPU per second of moving, ms", times=3)
        for name in ("presence-50", "presence-500")
    ),
    Aim("isolation", _TYPING, times=5),
    Aim("storage-alone", "bytes written to the disk per byte typed", bound=1500),
    Aim("cold-100000", "document there after, ms", bound=3, beside=_HOCUSPOCUS),
    *(
        Aim(
            f"addressed-{scenario}", f"{how}: {_COST}", beside=_HOCUSPOCUS, like=f"addressed-{like}"
        )
        for scenario, like, kinds in (
            ("fanout-50", "fanout-50", ("one at a time", "bursts of one", "bursts of all")),
            ("rooms-200", "rooms-200", ("one at a time", "bursts")),
            ("shared-200", "rooms-200", ("one at a time", "bursts")),
        )
        for how in kinds
    ),
    *(
        Aim(f"relay-{kind}", "added by the second process / one process", bound=1.5)
        for kind in ("typing", "burst")
    ),
)


def verdicts(
    medians: Medians, titles: Mapping[str, str], peers: Collection[str]
) -> Iterator[Sequence[str]]:
    """Yield lines of a table: scenario, figure, compared server, aim, found value, verdict.

    Args:
        medians: of figures; what was not measured gets no line.
        titles: of scenarios, by their names.
        peers: names of the servers that ours are compared with by default.
    """
    for aim in AIMS:
        ours = OURS if aim.like is None else ADDRESSED
        for figure, values in medians.get(aim.scenario, {}).items():
            if ours in values and fnmatchcase(figure, aim.figure):
                like = medians.get(aim.like or "", {}).get(figure, {})
                verdict = _verdict(aim, values[ours], values, peers, like)
                yield [titles[aim.scenario], figure, *verdict]


def _verdict(
    aim: Aim,
    ours: float,
    values: Mapping[str, float],
    peers: Collection[str],
    like: Mapping[str, float],
) -> Sequence[str]:
    if aim.bound is not None and aim.beside is None:
        return "", f"at most {aim.bound:g}", short(ours), _word(ours <= aim.bound)
    names = [name for name in values if name in (peers if aim.beside is None else [aim.beside])]
    if not names:
        return aim.beside or "", "", "", "not measured beside it"
    other = min(names, key=values.__getitem__)
    # A cost that is too little to be measured is better than any other.
    times = values[other] / ours if ours > 0 else float("inf")
    if aim.bound is not None:
        cost = 1 / times if times else float("inf")
        return other, f"at most {aim.bound:g} times", f"{cost:.2f} times", _word(cost <= aim.bound)
    least = aim.times or 0.0
    if aim.like is not None:
        if not {OURS, other} <= set(like):
            return other, "", f"{times:.2f} times", "not measured with plain frames"
        least = like[other] / like[OURS]
    return other, f"{least:.3g} times", f"{times:.2f} times", _word(times >= least)


def _word(is_reached: bool) -> str:
    return "reached" if is_reached else "not reached"
