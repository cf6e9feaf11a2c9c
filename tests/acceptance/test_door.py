"""A real server at its limits: who is refused learns why, the others go on, all is counted."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus

from tests.harness.client import YjsClient
from tests.harness.fixtures import StartServer
from tests.harness.server import NO_PINGS, Server
from tests.harness.services import Postgres, Redis
from tests.harness.waiting import DEADLINE


async def get(server: Server, path: str) -> tuple[int, str]:
    """Return the status and the text of a page."""

    def request() -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    return await asyncio.to_thread(request)


async def metrics(server: Server) -> dict[tuple[str, ...], float]:
    """Return the server's metrics: each number by its name and the values of its labels."""
    status, text = await get(server, "/collab/metrics")
    assert status == 200, text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def refusals(server: Server) -> dict[tuple[str, str], float]:
    """Return how many were refused, by cause and close code."""
    numbers = await metrics(server)
    return {
        (name[1], name[2]): value
        for name, value in numbers.items()
        if name[0] == "collab_refusals_total"
    }


async def refused(client: YjsClient) -> tuple[int, str | None]:
    """Return with which code and reason a client is refused that understands both."""
    collab = YjsClient(client.url, subprotocols=["collab"])
    await collab.connect()
    return await collab.wait_closed(), collab.close_reason


@pytest.mark.parametrize("kind", ["address", "user"])
async def test_a_connection_beyond_the_limit_is_refused_until_another_has_ended(
    start_server: StartServer, kind: str
) -> None:
    limit = f"MAX_{kind.upper()}_CONNECTIONS"
    server = start_server(collab={limit: 2})
    async with server.client("room", user="7"):
        async with server.client("room", user="7") as second:
            reason = f"Too many connections of your {kind}."
            assert await refused(server.client("unknown", user="7")) == (1013, reason)
            with pytest.raises(InvalidStatus, match="403"):
                await server.client("unknown", user="7").connect()
            await second.insert("undisturbed")
        async with server.client("room", user="7") as third:
            assert third.text == "undisturbed"
    assert await refusals(server) == {(limit, "1013"): 2}
    assert (await metrics(server))["collab_rooms",] == 1


async def test_a_user_who_connects_too_often_is_refused_and_others_are_not(
    start_server: StartServer,
) -> None:
    server = start_server(collab={"MAX_USER_CONNECTIONS": 2})
    for _ in range(3):
        async with server.client("room", user="7"):
            pass
    code, reason = await refused(server.client("room", user="7"))
    assert (code, reason) == (1013, "Too many new connections of your user in a minute.")
    async with server.client("room", user="8"), server.client("room"):
        pass
    assert await refusals(server) == {("MAX_USER_CONNECTIONS", "1013"): 1}


async def test_a_full_room_refuses_and_goes_on(start_server: StartServer) -> None:
    server = start_server(collab={"MAX_ROOM_MEMBERS": 2, "MAX_ROOMS": 1})
    async with server.client("room") as ann, server.client("room") as bob:
        code, _ = await refused(server.client("room"))
        assert code == 1013
        code, _ = await refused(server.client("other"))
        assert code == 1013
        await ann.insert("Hello")
        await bob.wait_until(lambda: bob.text == "Hello")
    assert await refusals(server) == {("MAX_ROOM_MEMBERS", "1013"): 1, ("MAX_ROOMS", "1013"): 1}


async def test_a_client_that_sends_nothing_after_the_handshake_is_disconnected(
    start_server: StartServer,
) -> None:
    server = start_server(collab={"FIRST_FRAME_TIMEOUT": 5})
    async with server.client("room") as talking:
        silent = Silent(server.url("room"))
        await silent.connect()
        assert await silent.wait_closed() == 1008
        assert silent.close_reason == "No frame came in time."
        await talking.insert("still here")
        await talking.hello()
        await talking.wait_saved()
    assert await refusals(server) == {("FIRST_FRAME_TIMEOUT", "1008"): 1}


class Silent(YjsClient):
    """Opens a connection and sends nothing."""

    async def send(self, frame: bytes | str) -> None:
        return None


async def test_a_client_that_sends_too_much_is_slowed_down_and_warned_once(
    start_server: StartServer,
) -> None:
    server = start_server(collab={"MESSAGE_RATE": 50, "MESSAGE_BURST": 50})
    async with server.client("room") as flood, server.client("room") as honest:
        await flood.hello()
        await honest.hello()
        for _ in range(200):
            await flood.insert("x")
        await honest.insert("Hello")
        await honest.wait_saved()
        await flood.wait_saved()
        await honest.wait_until(lambda: honest.text.count("x") == 200)
        assert [push["action"] for push in honest.pushes if push["errors"]] == []
        [told] = [push for push in flood.pushes if push["errors"]]
        assert (told["action"], told["response_status"]) == ("throttled", 429)
    assert (await metrics(server))["collab_throttled_seconds_total",] > 1
    assert await refusals(server) == {}


async def test_a_client_that_reads_nothing_is_disconnected_and_others_go_on(
    start_server: StartServer,
) -> None:
    # Long enough for those who read, however busy the machine is.
    server = start_server(
        collab={"MAX_MEMBER_BACKLOG": 10_000, "SEND_TIMEOUT": 15},
        environment=NO_PINGS,
    )
    slow = YjsClient(server.url("room"), receive_buffer=4096)
    async with server.client("room") as ann, server.client("room") as bob, slow:
        slow.pause()
        await ann.hello()
        # More than the kernel keeps for it, one by one: of updates that come together, the server
        # makes one frame, behind which nothing would wait.
        for number in range(1, 101):
            await ann.insert("a" * 100_000)
            await bob.wait_until(has_length(bob, number * 100_000))
        await ann.wait_saved()
        server.wait_for_log("A member reads too slowly")
        numbers = await metrics(server)
        assert numbers["collab_full_states_total",] >= 1
        assert numbers["collab_evictions_total",] == 1
        slow.resume()
        await slow.wait_closed()


async def test_a_client_that_breaks_the_protocol_is_counted(server: Server) -> None:
    async with server.client("room") as ann:
        bad = server.client("room")
        await bad.connect()
        await bad.send(b"\x07")
        assert await bad.wait_closed() == 1008
        await ann.insert("undisturbed")
    with pytest.raises(InvalidStatus, match="403"):
        await server.client("room", "guarded", access="none").connect()
    causes = {("ProtocolViolation", "1008"): 1, ("Unauthenticated", "4401"): 1}
    assert await refusals(server) == causes


# Watching.


async def health(server: Server) -> tuple[int, dict[str, Any]]:
    status, text = await get(server, "/collab/health")
    return status, json.loads(text)


async def test_health_follows_the_database(
    postgres_server: Postgres, postgres_database: str, start_server: StartServer
) -> None:
    server = start_server(postgres_database)
    server.allow_errors("could not be stored|cannot be reached|Service Unavailable")
    assert (await health(server))[0] == 200
    await asyncio.to_thread(postgres_server.kill)
    status, answer = await health(server)
    assert (status, answer["status"]) == (503, "failing")
    assert answer["checks"]["storage"].startswith("fails")
    await asyncio.to_thread(postgres_server.start)
    assert (await health(server))[0] == 200


async def test_health_follows_the_channel_layer(
    redis_server: Redis, start_server: StartServer
) -> None:
    server = start_server(redis=redis_server.url)
    server.allow_errors("Service Unavailable|channels_redis")
    assert (await health(server))[1]["checks"]["channel_layer"] == "ok"
    await asyncio.to_thread(redis_server.stop)
    assert (await health(server))[0] == 503
    await asyncio.to_thread(redis_server.start)
    assert (await health(server))[0] == 200


async def test_a_process_that_drains_is_not_healthy_any_more(start_server: StartServer) -> None:
    server = start_server(collab={"DRAIN_TIME": 5})
    server.allow_errors("Service Unavailable")
    async with server.client("room") as first, server.client("room") as second:
        ending = asyncio.create_task(asyncio.to_thread(server.terminate))
        await first.wait_until(lambda: not (first.connected and second.connected))
        status, answer = await health(server)
        assert (status, answer["status"]) == (503, "draining")
        await ending


def has_length(client: YjsClient, length: int) -> Callable[[], bool]:
    """Return a function that says whether the text of a client has a length."""
    return lambda: len(client.text) == length


async def test_updates_that_the_layer_loses_and_others_repair_are_counted(
    redis_server: Redis, start_server: StartServer
) -> None:
    environment = {"COLLAB_TEST_LAYER": "lossy"}
    quick = {"RELAY": {"digest": 2, "timeout": 1}, "RELAY_STORAGE_INTERVAL": 2}
    servers = [
        start_server(redis=redis_server.url, collab=quick, environment=environment)
        for _ in range(2)
    ]
    repairs = ("collab_relay_repaired_gaps_total", "collab_storage_rereads_total")
    async with servers[0].client("room") as ann, servers[1].client("room") as bob:
        written, repaired = 0, 0.0
        # How many messages there are to lose depends on how many updates go into one.
        while not repaired:
            assert written < 10_000
            for _ in range(200):
                await ann.insert("x")
                await bob.insert("x")
            written += 400
            for client in (ann, bob):
                await client.wait_until(has_length(client, written))
            numbers = [await metrics(server) for server in servers]
            repaired = sum(one[name,] for one in numbers for name in repairs)
    for name in ("relay_sent_messages", "relay_received_messages"):
        assert all(one[f"collab_{name}_total",] > 0 for one in numbers)
