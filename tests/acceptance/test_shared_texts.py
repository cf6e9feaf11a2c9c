"""Members of two server processes type in one text; each part is checked as its author's."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pycrdt import Map

from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import StartServer
from tests.harness.services import Redis
from tests.harness.waiting import until
from tests.oracle.mirrors import READER, VARIABLE, Spec

from .test_rows_oracle import QUICK, Worker

ROOM = "oracle-board-1"
SPEC = Spec("texts", "board", ("id", "body"), ("body",), None, True)


def body(client: YjsClient) -> Any:
    (row,) = client.doc.get("texts", type=Map).values()
    return row["body"]


async def types(client: YjsClient, text: str) -> None:
    async with client.edit():
        found = body(client)
        found += text


async def has(client: YjsClient, text: str) -> None:
    await client.wait_until(lambda: str(body(client)) == text)


async def test_forbidden_typing_is_set_back_alone_in_both_processes(
    postgres_database: str, redis_server: Redis, start_server: StartServer
) -> None:
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.oracle.settings",
        VARIABLE: json.dumps([asdict(SPEC)]),
    }
    collab = {**QUICK, "ROWS_TEXT_DELAY": 0.5}
    one, other = [
        start_server(
            postgres_database, environment=environment, collab=collab, redis=redis_server.url
        )
        for _ in range(2)
    ]
    worker = Worker(one.environment)
    worker.ask("begin")
    worker.ask("change", [["create", 1, None, "text"]], False, True)
    ann, mallory = one.client(ROOM, user="1"), other.client(ROOM, user=str(READER))
    for client in (ann, mallory):
        await client.connect()
        await client.hello()
    await wait_until(lambda: ann.synced and mallory.synced, ann, mallory)
    for number in range(3):
        text = str(body(ann))
        await types(mallory, " MALLORY")
        await ann.wait_until(lambda: "MALLORY" in str(body(ann)))
        await types(ann, f" ann {number}")
        expected = f"{text} ann {number}"
        for client in (ann, mallory):
            await has(client, expected)
        await until(lambda: _row(worker) == expected)  # noqa: B023
    refusals = [push["data"] for push in mallory.pushes if push["action"] == "row"]
    assert refusals
    assert not [push for push in ann.pushes if push["action"] == "row"]
    for client in (ann, mallory):
        await client.disconnect()
    worker.end()


def _row(worker: Worker) -> str:
    (row,) = worker.ask("expected", [ROOM])[ROOM]["texts"].values()
    found: str = row["body"]
    return found
