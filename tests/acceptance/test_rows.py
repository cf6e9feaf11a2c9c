"""Rows in documents of real servers: what clients change in them is saved, or set back."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

from pycrdt import Map

from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.services import Postgres, Redis
from tests.harness.waiting import DEADLINE, until

QUICK = {
    "ROWS_TEXT_DELAY": 0.2,
    "CONSTANTS": {"collab.mirror.watchers.pending_changes.CHECK_INTERVAL": 1},
    "RELAY": {"digest": 2, "timeout": 1},
    "RELAY_STORAGE_INTERVAL": 2,
}
#: What a client changes is stored at once, and is not saved before the process is killed.
LATE = {**QUICK, "ROWS_DELAY": 3600}
ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "tests.acceptance.row_views_settings"}


async def ask(server: Server, *steps: Any) -> dict[str, Any]:
    """Return what a page says."""
    path = "/" + "/".join(quote(str(step)) for step in steps)
    return await asyncio.to_thread(_get, server, path)


def _get(server: Server, path: str) -> dict[str, Any]:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, (path, response.status)
        answer: dict[str, Any] = json.loads(response.read())
        return answer


@dataclass
class Card:
    """A task, and the document that it is in."""

    board: int
    task: str

    @property
    def room(self) -> str:
        return f"board-{self.board}"

    def of(self, client: YjsClient) -> Any:
        """Return its map in a client's document."""
        return tasks(client).get(self.task)

    def read(self, client: YjsClient, field: str) -> Any:
        """Return a field in a client's document, or ``None`` while there is no such row."""
        row = self.of(client)
        return row.get(field) if isinstance(row, Map) else None


def tasks(client: YjsClient) -> Map[Any]:
    found: Map[Any] = client.doc.get("tasks", type=Map)
    return found


async def new_card(server: Server, title: str = "one") -> Card:
    return Card(**await ask(server, "add", title))


async def visit(server: Server, card: Card, **query: str) -> YjsClient:
    client = server.client(card.room, **query)
    await client.connect()
    await client.hello()
    await client.wait_until(lambda: client.synced and card.of(client) is not None)
    return client


async def wait_for_row(server: Server, card: Card, **values: Any) -> None:
    async def has_them() -> bool:
        row = (await ask(server, "rows")).get(card.task, {})
        return all(row.get(name) == value for name, value in values.items())

    await until(has_them)


def refusals(client: YjsClient) -> list[dict[str, Any]]:
    return [push["data"] for push in client.pushes if push["action"] == "row"]


async def test_changes_of_clients_and_of_server_code_reach_both(
    database: str, start_server: StartServer
) -> None:
    server = start_server(database, environment=ENVIRONMENT, collab=QUICK)
    card = await new_card(server)
    ann, bob = await visit(server, card, user="7"), await visit(server, card)
    async with ann.edit():
        card.of(ann)["title"] = "two"
        card.of(ann)["body"].insert(0, "number ")
    await wait_for_row(server, card, title="two", body="number one")
    await bob.wait_until(lambda: card.read(bob, "title") == "two")
    await ask(server, "change", card.task, "position", 9)
    await wait_until(
        lambda: card.read(ann, "position") == card.read(bob, "position") == 9, ann, bob
    )
    assert "two by 7" in (await ask(server, "savers"))["names"]
    await ask(server, "drop", card.task)
    await wait_until(lambda: card.of(ann) is card.of(bob) is None, ann, bob)
    for client in (ann, bob):
        await client.disconnect()


async def test_a_refused_change_is_set_back_at_all_processes_and_reported_to_its_author(
    postgres_database: str, redis_server: Redis, start_server: StartServer
) -> None:
    one, other = [
        start_server(
            postgres_database, environment=ENVIRONMENT, collab=QUICK, redis=redis_server.url
        )
        for _ in range(2)
    ]
    card = await new_card(one)
    ann, bob, cid = await visit(one, card), await visit(one, card), await visit(other, card)
    async with ann.edit():
        card.of(ann)["title"] = "x" * 101
        card.of(ann)["board"] = 0
    await ann.wait_until(lambda: refusals(ann))
    await wait_until(
        lambda: all(
            (card.read(client, "title"), card.read(client, "board")) == ("one", card.board)
            for client in (ann, bob, cid)
        ),
        *(ann, bob, cid),
    )
    assert refusals(ann)[0]["fields"].keys() == {"title", "board"}
    assert not refusals(bob)
    assert not refusals(cid)
    for client in (ann, bob, cid):
        await client.disconnect()


async def new_user(server: Server, pk: int) -> None:
    """Make the user that ``?user=`` names; others who come are not in the database."""
    source = f"from django.contrib.auth.models import User; User.objects.create(pk={pk})"
    await asyncio.to_thread(server.run_code, source)


async def test_a_change_is_its_authors_when_the_server_is_killed_before_it_is_saved(
    database: str, start_server: StartServer
) -> None:
    server = start_server(database, environment=ENVIRONMENT, collab=LATE)
    await new_user(server, 7)
    card = await new_card(server)
    ann = await visit(server, card, user="7")
    async with ann.edit():
        card.of(ann)["title"] = "two"
        card.of(ann)["board"] = 0
    await ann.wait_saved()
    await asyncio.to_thread(server.kill)
    await ann.wait_closed()
    await asyncio.to_thread(server.start)
    bob = await visit(server, card)
    assert card.read(bob, "title") == "two"
    await wait_for_row(server, card, title="two")
    assert (await ask(server, "savers"))["names"] == ["two by 7"]
    await bob.wait_until(lambda: card.read(bob, "board") == card.board)
    await bob.disconnect()


async def test_another_process_takes_over_what_a_killed_one_has_not_saved(
    postgres_database: str, redis_server: Redis, start_server: StartServer
) -> None:
    def start(collab: dict[str, Any]) -> Server:
        return start_server(
            postgres_database, environment=ENVIRONMENT, collab=collab, redis=redis_server.url
        )

    dying, other = start(LATE), start(QUICK)
    await new_user(other, 7)
    card = await new_card(other)
    ann, bob = await visit(dying, card, user="7"), await visit(other, card)
    async with ann.edit():
        card.of(ann)["title"] = "two"
        card.of(ann)["board"] = 0
    await ann.wait_saved()
    await bob.wait_until(lambda: card.read(bob, "title") == "two")
    await asyncio.to_thread(dying.kill)
    await wait_for_row(other, card, title="two")
    assert (await ask(other, "savers"))["names"] == ["two by 7"]
    await bob.wait_until(lambda: card.read(bob, "board") == card.board)
    await bob.disconnect()


async def test_a_row_changed_while_the_database_is_down_is_saved_afterwards(
    postgres_database: str, postgres_server: Postgres, start_server: StartServer
) -> None:
    server = start_server(postgres_database, environment=ENVIRONMENT, collab=QUICK)
    server.allow_errors("the storage|The storage|unavailable")
    card = await new_card(server)
    ann = await visit(server, card)
    await asyncio.to_thread(postgres_server.kill)
    async with ann.edit():
        card.of(ann)["title"] = "two"
    await asyncio.to_thread(server.wait_for_log, "Rows could not be saved")
    await asyncio.to_thread(postgres_server.start)
    await wait_for_row(server, card, title="two")
    await ann.disconnect()


async def test_a_server_that_is_asked_to_end_saves_what_was_changed(
    database: str, start_server: StartServer
) -> None:
    server = start_server(database, environment=ENVIRONMENT, collab={**LATE, "DRAIN_TIME": 0})
    card = await new_card(server)
    ann = await visit(server, card)
    async with ann.edit():
        card.of(ann)["title"] = "two"
        card.of(ann)["body"].insert(0, "number ")
    await ann.wait_saved()
    await asyncio.to_thread(server.restart)
    await ann.wait_closed()
    row = (await ask(server, "rows"))[card.task]
    assert (row["title"], row["body"]) == ("two", "number one")


async def test_all_end_equal_whichever_side_changes_a_row(
    postgres_database: str, redis_server: Redis, start_server: StartServer
) -> None:
    servers = [
        start_server(
            postgres_database, environment=ENVIRONMENT, collab=QUICK, redis=redis_server.url
        )
        for _ in range(2)
    ]
    cards = [await new_card(servers[0], f"task {number}") for number in range(5)]
    clients = [await visit(server, cards[0]) for server in servers for _ in range(2)]
    chance = random.Random(4)
    for number in range(150):
        await change_something(chance, servers, cards, clients, number)
    await converge(servers[0], clients)
    for client in clients:
        await client.disconnect()


async def change_something(
    chance: random.Random,
    servers: list[Server],
    cards: list[Card],
    clients: list[YjsClient],
    number: int,
) -> None:
    """Change a row with a client, or a view, in a way that may be refused."""
    client, card = chance.choice(clients), chance.choice(cards)
    if chance.random() < 0.2:
        await ask(chance.choice(servers), "change", card.task, "position", number)
        return
    async with client.edit():
        if not isinstance(row := card.of(client), Map):
            return
        field = chance.choice(["title", "position", "done", "body", "id"])
        if field == "body":
            row["body"].insert(0, f"<{number}>")
        else:
            row[field] = chance.choice([number, "x" * 200, f"task {number}", True])


async def converge(server: Server, clients: list[YjsClient]) -> None:
    """Wait until all clients' rows are the database's."""
    async with asyncio.timeout(2 * DEADLINE):
        while True:
            rows = await ask(server, "rows")
            if all(shown(client, rows) == rows for client in clients):
                return
            # The server answers others, too.
            await asyncio.sleep(0.1)


def shown(client: YjsClient, rows: dict[str, Any]) -> dict[str, Any]:
    found: Any = tasks(client).to_py()
    return {key: {name: row.get(name) for name in rows.get(key, row)} for key, row in found.items()}
