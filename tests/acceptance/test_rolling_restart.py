"""A new version is rolled out over two processes while people write, and nobody notices much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.harness.fixtures import StartServer
from tests.harness.proxy import Proxy
from tests.harness.server import Server
from tests.harness.services import Redis

from .reconnecting_typists import ReconnectingTypist, reconnecting_typists
from .typists import finish, read, type_on

PEOPLE = 8
#: Members are sent away over so long, in seconds.
DRAIN_TIME = 2.0
#: The longest time without a letter of the others that anybody may see, in seconds. It has room
#: for a process that starts on a busy machine, since connections wait for it.
LONGEST_GAP = 15.0


@pytest.fixture
def servers(
    redis_server: Redis, postgres_database: str, start_server: StartServer
) -> Sequence[Server]:
    """Two processes of one site."""
    settings = {"DRAIN_TIME": DRAIN_TIME}
    return [
        start_server(postgres_database, redis=redis_server.url, collab=settings) for _ in range(2)
    ]


@pytest.fixture
async def balancer(servers: Sequence[Server]) -> AsyncIterator[Proxy]:
    """The load balancer that spreads connections over both processes."""
    proxy = Proxy(*(server.port for server in servers))
    await proxy.start()
    yield proxy
    await proxy.close()


def ends_since(people: Sequence[ReconnectingTypist], began: float) -> list[tuple[float, int]]:
    """Return when connections ended, and how."""
    return sorted(end for person in people for end in person.ends if end[0] >= began)


async def restart(server: Server, people: Sequence[ReconnectingTypist]) -> None:
    """Restart a process; its members must be sent away one after the other, to come back."""
    began = asyncio.get_running_loop().time()
    await asyncio.to_thread(server.terminate)
    ends = ends_since(people, began)
    assert {code for _, code in ends} == {1012}
    # Of n members the last one goes when the share of the others is over. On a busy machine each
    # may notice its end later, and none earlier.
    share = (len(ends) - 1) / len(ends)
    assert ends[-1][0] - began > DRAIN_TIME * share
    assert max(at for at, _ in ends) - began < DRAIN_TIME + LONGEST_GAP
    await asyncio.to_thread(server.start)


async def test_a_rolling_restart_loses_no_letter_and_delays_no_user(
    servers: Sequence[Server], balancer: Proxy
) -> None:
    url = servers[0].url("room").replace(str(servers[0].port), str(balancer.port))
    async with reconnecting_typists([url] * PEOPLE) as people:
        await type_on(people, 100)
        for server in servers:
            await restart(server, people)
            await type_on(people, 100)
        gaps = [person.longest_gap for person in people]
        text = await finish(people)
    assert max(gaps) < LONGEST_GAP
    assert [await read(server, "room") for server in servers] == [text, text]
