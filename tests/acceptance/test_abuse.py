"""A hostile mix of clients attacks for a while, and those who work do not suffer (I4, I8)."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import median

from tests.harness.client import YjsClient
from tests.harness.fixtures import StartServer
from tests.harness.server import ROOT, Server

from .bystanders import memory
from .mob import ATTACKED, BIG
from .test_door import metrics, refusals
from .typists import read

SECONDS = 20
#: How long a word may take from one honest client to the other while the server is attacked:
#: half of the words, and any of them, in seconds. Attackers and server share two cores.
MEDIAN = 0.25
WORST = 3.0
#: By how much the server's memory may grow: attackers bring far more than that.
MiB = 1024 * 1024
GROWTH = 200 * MiB

SETTINGS = {
    "MAX_FRAME_SIZE": 2 * MiB,
    "MAX_ROOMS": 100,
    "MAX_USER_JOINS": 60,
    # All come from one address here.
    "MAX_ADDRESS_JOINS": 100_000,
    "MAX_MEMBER_BACKLOG": 256 * 1024,
    "BYTE_BURST": 4 * MiB,
    "SEND_TIMEOUT": 3,
}


class Watch:
    """Two honest clients who measure how long their words take, and the server's memory."""

    def __init__(self, server: Server, ann: YjsClient, bob: YjsClient) -> None:
        self.latencies: list[float] = []
        self.memory = memory(server)
        self.words: list[str] = []
        self._server, self._ann, self._bob = server, ann, bob

    async def run(self, over: asyncio.Event) -> None:
        """Write in turn until it is over."""
        speaker, listener = self._ann, self._bob
        while not over.is_set():
            await self._say(speaker, listener)
            speaker, listener = listener, speaker
            self.memory = max(self.memory, memory(self._server))
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await over.wait()

    async def _say(self, speaker: YjsClient, listener: YjsClient) -> None:
        word = f"<{len(self.words)}>"
        self.words.append(word)
        began = time.monotonic()
        await speaker.insert(word)
        await listener.wait_until(lambda: word in listener.text)
        self.latencies.append(time.monotonic() - began)


async def attack(server: Server) -> Counter[tuple[str, int]]:
    """Let the mob loose; return how many of each kind were ended with which code."""
    command = ["-m", "tests.acceptance.mob", str(server.port), str(SECONDS)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    ends: Sequence[tuple[str, int, int]] = json.loads(output)
    return Counter({(kind, code): times for kind, code, times in ends})


async def fill(server: Server) -> None:
    """Write a document that fills buffers."""
    async with server.client(BIG) as client:
        await client.hello()
        await client.insert("x" * MiB)
        await client.wait_saved()


def check_refusals(
    ends: Counter[tuple[str, int]], counted: Mapping[tuple[str, str], float]
) -> None:
    """Check that all that attackers saw of refusals is counted, and nothing else."""
    seen, told = Counter[int](), Counter[int]()
    for (_, code), times in ends.items():
        # Those that broke off, or were cut off, have no code to tell of.
        if code not in (1000, 1006):
            seen[code] += times
    for (_, name), number in counted.items():
        told[int(name)] += int(number)
    assert seen == told
    assert {("mutator", 1008), ("giant", 1009), ("namer", 1013), ("churner", 1013)} <= set(ends)
    assert {cause for cause, _ in counted} == {
        "ProtocolViolation",
        "MAX_FRAME_SIZE",
        "MAX_ROOMS",
        "MAX_USER_JOINS",
    }


async def test_an_attack_of_all_kinds_leaves_the_server_usable(start_server: StartServer) -> None:
    server = start_server(collab=SETTINGS)
    await fill(server)
    async with server.client(ATTACKED) as ann, server.client(ATTACKED) as bob:
        watch, over = Watch(server, ann, bob), asyncio.Event()
        before = watch.memory
        watching = asyncio.create_task(watch.run(over))
        ends = await attack(server)
        over.set()
        await watching
        await ann.wait_until(lambda: ann.text == bob.text == "".join(watch.words))
    check_refusals(ends, await refusals(server))
    numbers = await metrics(server)
    assert numbers["collab_evictions_total",] >= ends["sleeper", 1006] > 0
    assert numbers["collab_throttled_seconds_total",] > 1
    assert median(watch.latencies) < MEDIAN
    assert max(watch.latencies) < WORST
    assert watch.memory - before < GROWTH
    assert await read(server, ATTACKED) == "".join(watch.words)
