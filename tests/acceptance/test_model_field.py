"""Texts of rows over two processes that are killed, while code saves the rows."""

from __future__ import annotations

import asyncio
from functools import partial

from tests.harness.client import YjsClient
from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.waiting import until

#: The collaborative text of an entry that everybody may write.
NAME = "texts.entry/word"
LEASE = "3"
LETTERS = "abcdefghijklmnopqrstuvwxyz"

CREATE = """
from tests.texts.models import Entry
Entry.objects.create(word="word", text="start.", is_open=True)
"""
COLUMN = """
from tests.texts.models import Entry
print(Entry.objects.get().text, end="")
"""
#: Code that saves the row in a loop: at times its text, at times the stale instance.
LOOP = """
from tests.texts.models import Entry
stale = Entry.objects.get()
for number in range(10):
    entry = Entry.objects.get()
    entry.text += f" {number}"
    entry.save()
    stale.save()
"""


async def column_is(server: Server, expected: str) -> None:
    """Wait until the column holds a text."""

    async def found() -> bool:
        return await asyncio.to_thread(server.run_code, COLUMN) == expected

    await until(found)


def has_letters(client: YjsClient, letters: list[str]) -> bool:
    return sorted(client.text) == letters


async def test_the_column_catches_up_after_a_process_was_killed(
    database: str, start_server: StartServer
) -> None:
    servers = [start_server(database, environment={"COLLAB_TEST_LEASE": LEASE}) for _ in range(2)]
    for server in servers:
        server.allow_errors("cannot be delivered now|cannot be looked up|lease|its change")
    await asyncio.to_thread(servers[0].run_code, CREATE)
    async with servers[0].client(NAME) as ann:
        await ann.wait_until(lambda: ann.text == "start.")
        await ann.hello()
        await ann.insert("Typed. ", 0)
        await ann.wait_saved()
        # Long before the pause after which the column is updated.
        for server in servers:
            await asyncio.to_thread(server.kill)
    await asyncio.to_thread(servers[1].start)
    # The process delivers changes from the first document on that has a receiver.
    async with servers[1].client("kept/other"):
        await column_is(servers[1], "Typed. start.")


async def test_code_that_saves_in_a_loop_takes_nothing_back(
    database: str, start_server: StartServer
) -> None:
    """Ghostwriter#629: an open editor overwrites changes made outside of it."""
    servers = [start_server(database) for _ in range(2)]
    await asyncio.to_thread(servers[0].run_code, CREATE)
    async with servers[0].client(NAME) as ann, servers[1].client(NAME) as bob:
        for client in (ann, bob):
            await client.hello()
        await ann.wait_until(lambda: ann.text == "start." == bob.text)
        loop = asyncio.create_task(asyncio.to_thread(servers[0].run_code, LOOP))
        for letter in LETTERS:
            await asyncio.gather(ann.insert(letter, 0), bob.insert(letter, 0))
            await asyncio.gather(ann.wait_saved(), bob.wait_saved())
        await loop
        expected = sorted(LETTERS * 2 + "start." + "".join(f" {number}" for number in range(10)))
        for client in (ann, bob):
            await client.wait_until(partial(has_letters, client, expected))
        await column_is(servers[0], ann.text)
