"""Access that changes while people are connected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.harness.client import YjsClient
from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.services import Redis

SET_ACCESS = """
    from django.contrib.auth.models import User
    from collab import documents

    user, _ = User.objects.update_or_create(
        pk={user}, defaults={{"username": "user {user}", "last_name": "{access}"}}
    )
    documents.recheck_access("room", user)
"""

LOG_IN = """
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.create(username="ann"))
    print(client.cookies["sessionid"].value)
"""


async def set_access(server: Server, user: int, access: str) -> None:
    """Change a user's access in a process that is none of the servers."""
    code = SET_ACCESS.format(user=user, access=access)
    await asyncio.to_thread(server.run_code, code)


@pytest.fixture
async def two_servers(redis_server: Redis, start_server: StartServer) -> Sequence[Server]:
    """Two processes in which user 1 may write and user 2, too."""
    servers = [start_server(redis=redis_server.url) for _ in range(2)]
    for user in (1, 2):
        await set_access(servers[0], user, "write")
    return servers


async def enter(server: Server, user: int) -> YjsClient:
    client = server.client("room", "account", user=str(user))
    await client.connect()
    await client.hello()
    await client.wait_until(lambda: client.synced)
    return client


async def test_a_user_who_loses_access_is_disconnected_from_every_process(
    two_servers: Sequence[Server],
) -> None:
    first, second = [await enter(server, user=1) for server in two_servers]
    other = await enter(two_servers[1], user=2)
    await set_access(two_servers[0], 1, "none")
    assert await first.wait_closed() == 4403
    assert await second.wait_closed() == 4403
    await other.insert("still here")
    await other.wait_saved()
    await other.disconnect()


async def test_a_member_whose_access_becomes_read_is_informed_and_changes_nothing_more(
    two_servers: Sequence[Server],
) -> None:
    member, witness = [
        await enter(server, user) for server, user in zip(two_servers, (1, 2), strict=True)
    ]
    await set_access(two_servers[1], 1, "read")
    await member.wait_until(lambda: member.access == "read")
    await member.insert("refused")
    await member.wait_until(lambda: any(push["response_status"] == 403 for push in member.pushes))
    await witness.insert("taken")
    await member.wait_until(lambda: "taken" in member.text)
    assert witness.text == "taken"
    for client in (member, witness):
        await client.disconnect()


async def test_a_member_whose_access_becomes_write_writes_without_reconnecting(
    two_servers: Sequence[Server],
) -> None:
    await set_access(two_servers[0], 1, "read")
    member, witness = [
        await enter(server, user) for server, user in zip(two_servers, (1, 2), strict=True)
    ]
    assert member.access == "read"
    await set_access(two_servers[1], 1, "write")
    await member.wait_until(lambda: member.access == "write")
    await member.insert("at last")
    await witness.wait_until(lambda: witness.text == "at last")
    for client in (member, witness):
        await client.disconnect()


async def test_a_user_who_logs_out_is_disconnected_within_the_interval(
    start_server: StartServer,
) -> None:
    server = start_server(collab={"ACCESS_CHECK_INTERVAL": 0.5})
    session = (await asyncio.to_thread(server.run_code, LOG_IN)).strip()
    client = YjsClient(
        server.url("room", "session"),
        headers={"Cookie": f"sessionid={session}"},
        subprotocols=["collab"],
    )
    async with client:
        await client.insert("before")
        await asyncio.to_thread(
            server.run_code,
            "from django.contrib.sessions.models import Session; Session.objects.all().delete()",
        )
        assert await client.wait_closed() == 4401


ACTS = {
    "logging out": """
        from importlib import import_module
        from django.conf import settings
        from django.contrib.auth import logout
        from django.http import HttpRequest

        request = HttpRequest()
        request.session = import_module(settings.SESSION_ENGINE).SessionStore("{session}")
        logout(request)
    """,
    "a deleted session": """
        from django.contrib.sessions.models import Session

        Session.objects.filter(session_key="{session}").delete()
    """,
    "a deactivated user": """
        from django.contrib.auth.models import User

        user = User.objects.get(username="ann")
        user.is_active = False
        user.save()
    """,
    "a deleted user": """
        from django.contrib.auth.models import User

        User.objects.get(username="ann").delete()
    """,
}


@pytest.mark.parametrize("act", ACTS)
async def test_a_user_who_is_no_more_is_disconnected_at_once_from_every_process(
    redis_server: Redis, start_server: StartServer, act: str
) -> None:
    collab = {"ACCESS_CHECK_INTERVAL": 3600}
    servers = [start_server(redis=redis_server.url, collab=collab) for _ in range(2)]
    session = (await asyncio.to_thread(servers[0].run_code, LOG_IN)).strip()
    clients = [
        YjsClient(
            server.url("room", "session"),
            headers={"Cookie": f"sessionid={session}"},
            subprotocols=["collab"],
        )
        for server in servers
    ]
    for client in clients:
        await client.connect()
        await client.hello()
        await client.insert("before")
        await client.wait_saved()
    await asyncio.to_thread(servers[0].run_code, ACTS[act].format(session=session))
    for client in clients:
        assert await client.wait_closed() == 4401


PRESENT = """
    from collab import documents

    for user in sorted(documents.present("room"), key=lambda user: user.user_id):
        print(user.user_id, user.access.label, user.connections, len(user.client_ids))
"""


async def test_a_worker_sees_who_is_in_a_document_in_every_process(
    two_servers: Sequence[Server],
) -> None:
    assert await asyncio.to_thread(two_servers[0].run_code, PRESENT) == ""
    await set_access(two_servers[0], 2, "read")
    clients = [await enter(two_servers[0], 1), await enter(two_servers[1], 1)]
    clients.append(await enter(two_servers[1], 2))
    await clients[2].set_presence({"name": "Bob"})
    await clients[0].wait_until(lambda: clients[0].presence)
    found = await asyncio.to_thread(two_servers[0].run_code, PRESENT)
    assert found == "1 write 2 0\n2 read 1 1\n"
    for client in clients:
        await client.disconnect()
