"""Views of the project that is served read and write documents while people have them open."""

from __future__ import annotations

import asyncio
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import quote

import pytest

from tests.harness.client import wait_until
from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.waiting import DEADLINE

from .typists import read

#: What is typed waits in the server's memory for longer than the test does.
STORED_LATER = pytest.mark.parametrize(
    "collab", [{"WRITE_DELAY": 2 * DEADLINE, "CLOSE_TIMEOUT": 1}], ids=["later"]
)

WRITERS = ["write", "write_async", "write_in_thread", "send_update", "write_in_transaction"]


@pytest.fixture
def collab() -> dict[str, float]:
    """Settings of the office."""
    return {"WRITE_DELAY": 0.5}


@pytest.fixture
def office(database: str, start_server: StartServer, collab: dict[str, float]) -> Server:
    """A server with the views of :mod:`tests.acceptance.document_views`, which stores late."""
    environment = {"DJANGO_SETTINGS_MODULE": "tests.acceptance.document_views_settings"}
    return start_server(database, environment=environment, collab=collab)


async def visit(server: Server, *path: str) -> str:
    """Return what a page says."""
    return await asyncio.to_thread(_get, server, "/" + "/".join(map(quote, path)))


def _get(server: Server, path: str) -> str:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, (path, response.status)
        return response.read().decode()


async def test_members_see_what_views_write(office: Server) -> None:
    async with office.client("room") as ann, office.client("room") as bob:
        for writer in WRITERS:
            await ann.insert(f"<Ann before {writer}>")
            await visit(office, writer, "room", f"<{writer}>")
            await wait_until(
                lambda: all(f"<{writer}>" in client.text for client in (ann, bob)),  # noqa: B023
                ann,
                bob,
            )
        await bob.wait_until(lambda: bob.text == ann.text)
        text = ann.text
    await asyncio.to_thread(office.restart)
    assert await read(office, "room") == text
    assert all(text.count(f"<{writer}>") == 1 for writer in WRITERS)
    assert "never" not in text


async def test_text_that_views_write_is_read_after_a_restart(office: Server) -> None:
    for writer in WRITERS:
        await visit(office, writer, writer, f"by {writer}")
        assert await read(office, writer) == f"by {writer}"
    await asyncio.to_thread(office.kill)
    await asyncio.to_thread(office.start)
    for writer in WRITERS:
        assert await read(office, writer) == f"by {writer}"


async def test_an_edit_that_is_rolled_back_was_never_there(office: Server) -> None:
    async with office.client("room") as ann:
        await ann.insert("before")
        await visit(office, "write_and_undo", "room", "never")
        await visit(office, "write", "room", ", after")
        await ann.wait_until(lambda: ann.text == "before, after")
    assert await visit(office, "read", "room") == "before, after"


async def test_views_read_what_members_have_just_typed(office: Server) -> None:
    async with office.client("room") as ann, office.client("room") as bob:
        for number in range(20):
            await ann.insert(f"<{number}>")
            await bob.wait_until(lambda: bob.text == ann.text)
            # Most of it is not stored yet.
            assert await visit(office, "read", "room") == ann.text


async def test_views_and_members_write_at_once(office: Server) -> None:
    async with office.client("room") as ann, office.client("room") as bob:

        async def view(name: str) -> None:
            for number in range(10):
                await visit(office, name, "room", f"<{name} {number}>")

        async def type_on() -> None:
            for number in range(100):
                await ann.insert(f"<Ann {number}>", at=0)
                await ann.hello()

        await asyncio.gather(type_on(), *(view(writer) for writer in WRITERS))
        expected = {f"<{writer} {number}>" for writer in WRITERS for number in range(10)}
        expected |= {f"<Ann {number}>" for number in range(100)}
        await wait_until(
            lambda: ann.text == bob.text and all(word in ann.text for word in expected), ann, bob
        )
        assert len(ann.text) == sum(map(len, expected))
        assert await visit(office, "read", "room") == ann.text


@STORED_LATER
async def test_a_deleted_document_is_closed_and_gone(office: Server) -> None:
    async with office.client("room") as ann:
        await ann.insert("gone")
        await ann.hello()
        assert await visit(office, "delete", "room") == "True"
        assert await ann.wait_closed() == 4404
    assert await read(office, "room") == ""
    assert await visit(office, "delete", "another") == "False"


@STORED_LATER
async def test_a_renamed_document_takes_along_what_was_just_typed(office: Server) -> None:
    # Under its new name, too, it waits when the server ends.
    office.allow_errors("updates could not be stored; the next process stores them")
    async with office.client("room") as ann, office.client("room") as bob:
        await ann.insert("kept")
        await bob.wait_until(lambda: bob.text == "kept")
        await visit(office, "rename", "room", "new-name")
        await asyncio.gather(ann.wait_closed(), bob.wait_closed())
    assert await read(office, "new-name") == "kept"
    assert await read(office, "room") == ""


@pytest.fixture
def offices(database: str, start_server: StartServer) -> tuple[Server, Server]:
    """Two servers with layers of their own: no order of one reaches the other."""
    environment = {"DJANGO_SETTINGS_MODULE": "tests.acceptance.document_views_settings"}
    return (
        start_server(database, environment=environment),
        start_server(database, environment=environment),
    )


async def test_a_document_does_not_come_back_while_a_process_deletes_it_and_another_types(
    offices: tuple[Server, Server],
) -> None:
    office, other = offices
    async with other.client("room") as ann, other.client("room") as bob:
        await ann.hello()
        await ann.insert("before")
        await ann.wait_saved()
        assert await visit(office, "delete", "room") == "True"
        await ann.insert("after")
        assert [await client.wait_closed() for client in (ann, bob)] == [4404, 4404]
    assert await visit(office, "delete", "room") == "False"


async def test_an_update_follows_a_document_that_another_process_renames(
    offices: tuple[Server, Server],
) -> None:
    office, other = offices
    async with other.client("room") as ann:
        await ann.hello()
        await ann.insert("before")
        await ann.wait_saved()
        await visit(office, "rename", "room", "new-name")
        await ann.insert(", after")
        await ann.wait_saved()
    assert await read(office, "new-name") == "before, after"
    assert await visit(office, "delete", "room") == "False"
