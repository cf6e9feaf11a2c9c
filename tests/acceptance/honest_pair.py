"""Two clients that write to each other during an attack, which must not disturb them."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

from tests.harness.client import YjsClient
from tests.harness.server import Server

from .typists import MARK, read

__all__ = ["memory", "unharmed"]

Pair = tuple[YjsClient, YjsClient]

#: Limit of the server's processor time before a word arrives, in seconds; elapsed time would depend
#: on the load of the machine.
MAX_WORK = 5.0
#: Limit of the time before a word arrives, in seconds: a server that waits computes nothing.
PATIENCE = 30.0
#: Pause between two words, in seconds.
PAUSE = 0.02


def memory(server: Server) -> int:
    """Return how many bytes of memory the server has in use."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@asynccontextmanager
async def unharmed(server: Server, room: str = "room", route: str = "ws") -> AsyncIterator[Pair]:
    """Run two clients that write to each other in ``room`` during the block.

    Afterwards each word must have arrived soon, neither may have been disconnected, a newcomer
    must get what they have, and the log must hold none of it.
    """
    async with server.client(room, route) as ann, server.client(room, route) as bob:
        over = asyncio.Event()
        talk = asyncio.create_task(_talk(server, ann, bob, over))
        try:
            yield ann, bob
        finally:
            over.set()
            words = await talk
        await bob.wait_until(lambda: bob.text == ann.text)
        assert re.findall(rf"<{MARK} \d+>", ann.text) == words
        assert await read(server, room, route) == ann.text
    assert MARK not in server.log


def _worked(server: Server) -> float:
    """Return how many seconds the server has computed."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _talk(server: Server, ann: YjsClient, bob: YjsClient, over: asyncio.Event) -> list[str]:
    """Write with one when the other has answered; return the words that they wrote."""
    words: list[str] = []
    for number in count():
        speaker, listener = (ann, bob) if number % 2 else (bob, ann)
        words.append(f"<{MARK} {number}>")
        before = _worked(server)
        await speaker.insert(words[-1])
        await listener.wait_until(lambda: words[-1] in listener.text, within=PATIENCE)  # noqa: B023
        assert _worked(server) - before < MAX_WORK
        if over.is_set():
            break
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE):
                await over.wait()
    return words
