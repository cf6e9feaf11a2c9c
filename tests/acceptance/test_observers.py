"""Observers are told what any process has committed, through a real channel layer."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fixtures import StartServer
from tests.harness.services import Redis
from tests.harness.talker import talking

SAVE = """
from django.db import transaction
# In a project it is in a module that is imported wherever Django starts.
import tests.client.labels
from tests.rows.models import Label
label = Label.objects.get()
with transaction.atomic():
    for name in ("two", "three"):
        label.name = name
        label.save()
    with transaction.atomic():
        label.name = "rolled back"
        label.save()
        transaction.set_rollback(True)
"""


@pytest.mark.redis
async def test_changes_by_any_process_reach_who_watches(
    redis_server: Redis, database: str, start_server: StartServer
) -> None:
    application = "tests.client.app:application"
    servers = [
        start_server(database, redis=redis_server.url, application=application) for _ in range(2)
    ]
    urls = [server.url("", "labels") for server in servers]
    async with talking(urls[0]) as ann, talking(urls[1]) as bob:
        row = (await bob.call("create", data={"name": "one"}))["data"]
        for client in (ann, bob):
            await client.call("subscribe_instance", pk=row["id"])
        await bob.call("patch", pk=row["id"], data={"name": "other"})
        for client in (ann, bob):
            assert (await client.next(action="update"))["data"] == {**row, "name": "other"}
        # By one that has no event loop.
        await asyncio.to_thread(servers[0].run_code, SAVE)
        for client in (ann, bob):
            assert (await client.next(action="update"))["data"] == {**row, "name": "three"}
        await ann.call("delete", pk=row["id"])
        for client in (ann, bob):
            assert (await client.next(action="delete"))["data"] == {"pk": row["id"]}
            assert await client.quiet()
