"""The cost of versions: their making, their bytes in a day of editing, blame, comparisons, and what
the event loop does meanwhile."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pycrdt import Doc, Text

from .make_trace import SMALL
from .trace_file import Trace, in_bytes, load, type_into

__all__ = ["add_arguments", "run"]

#: The day that a trace is spread over: hours of editing, and seconds between two versions.
_HOURS, _EVERY = 8, 600
#: Seconds between two looks of the loop at the clock.
_BEAT = 0.005
_LINE = "The quick brown fox jumps over the lazy dog, and so it goes on.\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    parser.add_argument("--trace", type=Path, default=SMALL, help="an editing trace, as JSON")
    parser.add_argument("--size", type=int, default=1_000_000, help="bytes of the large document")
    parser.add_argument("--blamed", type=int, default=100_000, help="bytes of the blamed document")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print tables."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    print("| hours later | versions | bytes | part of the document |\n|--:|--:|--:|--:|")
    for hours, versions, size, part in asyncio.run(_day(load(arguments.trace))):
        print(f"| {hours} | {versions} | {size} | {part:.2f} |")
    print("\n| work | ms | loop p99, ms | loop max, ms |\n|---|--:|--:|--:|")
    for work, times, waits in asyncio.run(_works(arguments)):
        waits.sort()
        p99 = waits[int(len(waits) * 0.99)]
        middle = sorted(times)[len(times) // 2]
        print(f"| {work} | {middle * 1e3:.0f} | {p99 * 1e3:.1f} | {waits[-1] * 1e3:.1f} |")
    return 0


async def _day(trace: Trace) -> list[tuple[int, int, int, float]]:
    """Return versions and their bytes at the end of a day of editing, and later."""
    from collab.documents import History
    from collab.history.keeping.retention import surplus
    from collab.history.keeping.states import encode
    from collab_storage.base import LogEntry
    from collab_storage.memory import MemoryStorage
    from collab_storage.versions import VersionChoice, VersionDraft

    storage, doc, policy = MemoryStorage(), Doc[Any](), History()
    text, start = doc.get("text", type=Text), datetime(2026, 1, 1, tzinfo=UTC)
    transactions = [*in_bytes(trace)]
    text.insert(0, trace.start)
    await storage.append([LogEntry("doc", doc.get_update(), start)])
    pauses = _HOURS * 3600 // _EVERY
    step = -(-len(transactions) // pauses)
    at = start
    for number in range(pauses):
        for transaction in transactions[number * step : (number + 1) * step]:
            type_into(text, transaction)
        at = start + timedelta(seconds=(number + 1) * _EVERY)
        found = await storage.versions("doc", VersionChoice(limit=1))
        newest = await storage.load_version("doc", found[0].id) if found else None
        state = encode(doc.get_update(), newest.states if newest else ())
        await storage.add_version("doc", VersionDraft(at, state))
    rows = []
    for hours in (0, 24, 24 * 8, 24 * 31):
        versions = await storage.versions("doc")
        ids = surplus(versions, policy, at + timedelta(hours=hours, seconds=1))
        await storage.delete_versions("doc", ids)
        versions = await storage.versions("doc")
        size = await _size(storage, [version.id for version in versions])
        rows.append((hours, len(versions), size, size / len(doc.get_update())))
    return rows


async def _size(storage: Any, ids: Sequence[int]) -> int:
    """Return the bytes of the states of versions, each counted once."""
    states: dict[bytes, int] = {}
    for id in ids:
        loaded = await storage.load_version("doc", id)
        states |= {state.digest: len(state.data) for state in loaded.states}
    return sum(states.values())


async def _works(
    arguments: argparse.Namespace,
) -> list[tuple[str, list[float], list[float]]]:
    """Return the seconds that each work takes, and by how many the loop was late meanwhile."""
    from collab import history
    from collab.testing import use_memory_storage

    with use_memory_storage():
        for name, size in (("large", arguments.size), ("blamed", arguments.blamed)):
            await _fill(name, size)
        first = await history.acreate("large", "first")
        await _fill("large", 1_000)

        works: Mapping[str, Callable[[], Awaitable[Any]]] = {
            "nothing": lambda: asyncio.sleep(1),
            "version": lambda: history.acreate("large", "again"),
            "blame": lambda: history.ablame("blamed", "text"),
            "diff": lambda: history.adiff("large", first.id),
            "restore": lambda: history.arestore("large", first.id),
        }
        return [(name, *await _measured(work, arguments.rounds)) for name, work in works.items()]


async def _fill(name: str, size: int) -> None:
    from collab import documents

    async with documents.aedit(name) as doc:
        text = doc.get("text", type=Text)
        text.insert(0, _LINE * (size // len(_LINE)) or "typed\n")


async def _measured(
    work: Callable[[], Awaitable[Any]], rounds: int
) -> tuple[list[float], list[float]]:
    times, waits = list[float](), list[float]()

    async def beat() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_BEAT)
            waits.append(max(0.0, time.perf_counter() - before - _BEAT))

    beating = asyncio.create_task(beat())
    for _ in range(rounds):
        before = time.perf_counter()
        await work()
        times.append(time.perf_counter() - before)
        # The loop looks at the clock at least once.
        await asyncio.sleep(2 * _BEAT)
    beating.cancel()
    return times, waits
