"""States of real servers: what any process saves reaches those who have them open anywhere."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pycrdt import Map

from collab.live.state.declared_state import ROOT_ROWS
from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.services import Redis

PRELUDE = """
import json
from tests.projects.models import Client, Person, Profile, Project, Step, Task
"""


async def run(server: Server, source: str) -> Any:
    """Run code in another process, and return what it prints as JSON."""
    return json.loads(await asyncio.to_thread(server.run_code, PRELUDE + source) or "null")


def keys(client: YjsClient, name: str) -> set[str]:
    return set(client.doc.get(f"projects.{name}Serializer", type=Map).keys())


def value(client: YjsClient, name: str, key: str, field: str) -> Any:
    row = client.doc.get(f"projects.{name}Serializer", type=Map).get(key)
    return row.get(field) if isinstance(row, Map) else None


def order(client: YjsClient) -> list[int]:
    rows = client.doc.get(ROOT_ROWS, type=Map).values()
    return [int(key) for row in rows for key in row["keys"]]


async def test_states_follow_what_other_processes_save(
    postgres_database: str, redis_server: Redis, start_server: StartServer
) -> None:
    one, other = [start_server(postgres_database, redis=redis_server.url) for _ in range(2)]
    client, kitchen, bath, task = await run(
        one,
        """
client = Client.objects.create(name="Ann")
kitchen, bath = [Project.objects.create(name=n, client=client) for n in ("Kitchen", "Bath")]
task = Task.objects.create(project=kitchen, title="Paint")
print(json.dumps([client.pk, kitchen.pk, bath.pk, task.pk]))
""",
    )
    async with (
        one.client(str(kitchen), "projects", user="1") as ann,
        other.client(str(kitchen), "projects", user="2") as bob,
        other.client(str(bath), "projects", user="3") as cid,
        one.client(str(client), "clients", user="4") as eve,
    ):
        assert order(eve) == [bath, kitchen]
        await run(
            other,
            f"""
person = Person.objects.create(name="Bob")
Profile.objects.create(person=person, bio="Painter")
Task.objects.filter(pk={task}).update(assignee=person)
Step.objects.create(task_id={task}, name="Buy paint")
""",
        )
        for each in (ann, bob, eve):
            await each.wait_until(
                lambda each=each: keys(each, "Step") and keys(each, "Profile")  # type: ignore[misc]
            )
        await bob.disconnect()
        await run(
            one,
            f"""
Step.objects.all().delete()
task = Task.objects.get(pk={task})
task.project_id = {bath}
task.save()
Project.objects.create(name="Attic", client_id={client})
""",
        )
        await cid.wait_until(lambda: keys(cid, "Profile"))
        await wait_until(lambda: keys(ann, "Task") == set() == keys(ann, "Person"), ann)
        await eve.wait_until(lambda: len(order(eve)) == 3 and order(eve)[1:] == [bath, kitchen])
        assert keys(bob, "Step")
        await bob.connect()
        await bob.wait_until(lambda: not keys(bob, "Step") | keys(bob, "Task"))
        assert value(cid, "Task", str(task), "title") == "Paint"


async def test_changes_outlive_a_process_that_is_killed(
    postgres_database: str, start_server: StartServer
) -> None:
    server = start_server(postgres_database)
    project = await run(server, 'print(Project.objects.create(name="Kitchen").pk)')
    async with server.client(str(project), "projects", user="1") as ann:
        server.kill()
        # Nobody is there to write it into the document.
        await run(server, f'Task.objects.create(project_id={project}, title="Paint")')
        server.start()
        await ann.wait_closed()
        await ann.connect()
        await ann.wait_until(lambda: keys(ann, "Task"))
