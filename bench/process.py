"""The processes' use of the machine, as Linux reports it, and which cores they may use."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "LOAD_CORES",
    "SERVER_CORES",
    "cpu_seconds",
    "highest_memory_bytes",
    "memory_bytes",
    "on_cores",
    "process_tree",
    "quiet",
    "written_bytes",
]

_CORES = sorted(os.sched_getaffinity(0))
#: Servers get one core, as what they do with it is to be compared; the load generator another.
SERVER_CORES = frozenset(_CORES[:1])
LOAD_CORES = frozenset(_CORES[-1:])

_TICKS = os.sysconf("SC_CLK_TCK")

#: Processes rest if they use less than this part of a core.
_REST = 0.02
_INTERVAL = 0.1
_PATIENCE = 60.0


@contextmanager
def on_cores(cores: Set[int]) -> Iterator[None]:
    """Keep this thread, and what it starts meanwhile, threads and processes, on ``cores``."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def process_tree(pid: int) -> list[int]:
    """Return the ids of a process and of all that it has started, directly or not."""
    children = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    return [pid, *(each for child in children for each in process_tree(child))]


def _children(task: Path) -> list[int]:
    try:
        return [int(child) for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        # The thread has ended meanwhile.
        return []


def cpu_seconds(*pids: int) -> float:
    """Return the processor time that all threads of these have had, to the nanosecond.

    That of processes which they had started and which have ended counts, too, to the hundredth
    of a second.
    """
    return sum(map(_seconds, pids))


def _seconds(pid: int) -> float:
    try:
        # What is before the last parenthesis may be anything: the name of the program.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # What clock_getcpuclockid() of the C library returns.
        own = time.clock_gettime(~pid << 3 | 2)
    except OSError:
        # It has ended: its parent has its time.
        return 0.0
    user, system = fields[13:15]
    return own + (int(user) + int(system)) / _TICKS


def memory_bytes(*pids: int) -> int:
    """Return the memory of these: of what they share with others, their part (PSS)."""
    return sum(map(_proportional_bytes, pids))


def _proportional_bytes(pid: int) -> int:
    return _number("Pss", f"/proc/{pid}/smaps_rollup") * 1024


def highest_memory_bytes() -> int:
    """Return the most memory that this process has had, with all of the shared memory."""
    return _number("VmHWM", "/proc/self/status") * 1024


def written_bytes(*pids: int) -> int:
    """Return the bytes that these have caused to be written to disks, in whole pages."""
    return sum(map(_disk_bytes, pids))


def _disk_bytes(pid: int) -> int:
    return _number("write_bytes", f"/proc/{pid}/io")


def _number(name: str, file: str) -> int:
    """Return the number in a line of a file of Linux: bytes, or KB if the line says so."""
    found = re.search(rf"^{name}:\s+(\d+)(?: kB)?$", Path(file).read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def quiet(*pids: int) -> float:
    """Wait until these rest, their writes to the disk included; return their CPU seconds."""
    before = cpu_seconds(*pids)
    async with asyncio.timeout(_PATIENCE):
        while True:
            await asyncio.sleep(_INTERVAL)
            now = cpu_seconds(*pids)
            if now - before < _REST * _INTERVAL:
                return now
            before = now
