"""A hostile mix of clients attacks at once, and those who work do not suffer (I4, I8)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.harness.client import YjsClient
from tests.harness.fixtures import StartServer
from tests.harness.server import NO_PINGS, ROOT, Server

from .attack_mix import ATTACKED, BIG, GOALS, THROTTLED
from .attacks import step1
from .honest_pair import memory, unharmed
from .test_door import metrics, refusals

MiB = 1024 * 1024

#: By how much the server's memory may grow: attackers ask for and bring far more than that.
GROWTH = 64 * MiB
#: Clients that read nothing, in a room in which much is sent.
SLEEPERS = 3
#: When to give the attack up, in seconds. Nothing depends on how long it takes.
DEADLINE = 240

#: So low that attackers reach each of them, however slow the machine is.
SETTINGS = {
    "MAX_FRAME_SIZE": 2 * MiB,
    "MAX_DOCUMENT_SIZE": 4 * MiB,
    "MAX_ROOMS": 20,
    "MAX_USER_CONNECTIONS": 4,
    # All come from one address here.
    "MAX_ADDRESS_CONNECTIONS": 100_000,
    "MESSAGE_RATE": 500,
    "MESSAGE_BURST": 500,
    "BYTE_BURST": 4 * MiB,
    "SEND_TIMEOUT": 15,
}


async def fill(server: Server) -> None:
    """Write a document that fills buffers."""
    async with server.client(BIG) as client:
        await client.hello()
        await client.insert("x" * MiB)
        await client.wait_saved()


@asynccontextmanager
async def asleep(server: Server) -> AsyncIterator[list[YjsClient]]:
    """Open the big document for clients that read nothing."""
    async with AsyncExitStack() as stack:
        sleepers = [
            await stack.enter_async_context(YjsClient(server.url(BIG), receive_buffer=4096))
            for _ in range(SLEEPERS)
        ]
        for sleeper in sleepers:
            sleeper.pause()
        yield sleepers


async def until_evicted(server: Server, sleepers: list[YjsClient]) -> None:
    """Send requests of all until the server has disconnected all of them."""
    async with asyncio.timeout(DEADLINE):
        while (await metrics(server))["collab_evictions_total",] < len(sleepers):
            for sleeper in sleepers:
                # What buffers take is not waited for.
                await sleeper.send(step1())


async def attack(server: Server) -> Counter[tuple[str, int]]:
    """Run the mob; return how many of each kind were disconnected with which code."""
    command = ["-m", "tests.acceptance.attack_mix", str(server.port)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    return Counter({(kind, code): times for kind, code, times in json.loads(output)})


async def check_refusals(server: Server, ends: Counter[tuple[str, int]]) -> None:
    """Check that all that attackers saw of refusals is counted, and nothing else."""
    for kind, goal in GOALS.items():
        assert ends[kind, goal.code] >= goal.times
    seen, told = Counter[int](), Counter[int]()
    for (_, code), times in ends.items():
        # Those that broke off, or were slowed down only, were not refused.
        if code not in (1000, 1006, THROTTLED):
            seen[code] += times
    counted = await refusals(server)
    for (_, name), number in counted.items():
        told[int(name)] += int(number)
    assert seen == told
    causes = {"ProtocolViolation", "MAX_FRAME_SIZE", "MAX_ROOMS", "MAX_USER_CONNECTIONS"}
    assert {cause for cause, _ in counted} == causes


async def test_an_attack_of_all_kinds_leaves_the_server_usable(start_server: StartServer) -> None:
    server = start_server(collab=SETTINGS, environment=NO_PINGS)
    await fill(server)
    before = memory(server)
    async with unharmed(server, ATTACKED), asleep(server) as sleepers:
        ends = await attack(server)
        await until_evicted(server, sleepers)
        for sleeper in sleepers:
            sleeper.resume()
            await sleeper.abort()
    await check_refusals(server, ends)
    numbers = await metrics(server)
    assert numbers["collab_evictions_total",] == SLEEPERS
    assert numbers["collab_throttled_seconds_total",] > 1
    assert numbers["collab_sent_bytes_total",] + numbers["collab_received_bytes_total",] > GROWTH
    assert memory(server) - before < GROWTH
