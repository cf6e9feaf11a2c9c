"""The servers that are compared are what the benchmark takes them for, and can be measured."""

from __future__ import annotations

import asyncio

import pytest

from bench.authors import author
from bench.load import Crowd, newcomer
from bench.process import memory_bytes
from bench.servers import CONTESTANTS, Running
from bench.servers.ours import Collab
from tests.harness.waiting import poll_until
from tests.samples import ROOT

UPDATES = 20

pytestmark = pytest.mark.client

#: Those that the load generator, which has no documents, cannot be clients of: new members of its
#: rooms ask the others for the document.
WITHOUT_DOCUMENTS = {"pycrdt-consumer"}


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the sources, which need no compiler; compiled they do the same (test_compiled.py)."""
    for contestant in CONTESTANTS.values():
        if isinstance(contestant, Collab):
            monkeypatch.setattr(contestant, "_root", ROOT)


def servers() -> list[object]:
    return [
        pytest.param(name, marks=[pytest.mark.postgres] if name == "collab-postgres" else [])
        for name, contestant in CONTESTANTS.items()
        if name not in WITHOUT_DOCUMENTS and contestant.is_available
    ]


async def write(server: Running) -> None:
    async with Crowd([server], 1, 3) as crowd:
        await crowd.write([author(0)], UPDATES)
        await crowd.saved()
        await crowd.check()


@pytest.mark.parametrize("name", servers())
def test_updates_are_delivered_and_kept_if_they_are_stored(name: str) -> None:
    contestant = CONTESTANTS[name]
    contestant.install()
    assert contestant.version()
    with contestant.run() as server:
        asyncio.run(write(server))
        assert server.pid in server.pids
        assert memory_bytes(*server.pids) > 2**16
        assert bool(server.database_pids) == (name == "collab-postgres")
        if contestant.is_stored:
            server.restart()
            written = {author(0).client_id: UPDATES}
            # One of the peers says that there is nothing, and sends it when it is loaded.
            poll_until(lambda: asyncio.run(newcomer(server, "room-0")) == written)


def test_document_is_with_other_members_if_the_server_keeps_none() -> None:
    for name in WITHOUT_DOCUMENTS:
        assert not CONTESTANTS[name].keeps_documents
