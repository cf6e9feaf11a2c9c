"""Fixtures that start servers, each test's on a database of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests import settings

from .server import Server
from .services import Postgres

__all__ = ["StartServer"]

#: Markers of tests that need a service, and the fixture that may start it anew after the test.
SERVICES = {"postgres": "postgres_server", "redis": "redis_server"}

_numbers = itertools.count()


def migrate(database: str) -> None:
    """Make the tables of the test project in the database at the URL ``database``."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "COLLAB_TEST_DATABASE": database,
    }
    command = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
    paths = os.pathsep.join(path for path in sys.path if path)
    subprocess.run(command, env={**environment, "PYTHONPATH": paths}, check=True)


@pytest.fixture(scope="session")
def migrated_sqlite() -> Path:
    """An empty migrated database, to be copied."""
    path = settings.DIRECTORY / "migrated.sqlite3"
    migrate(f"sqlite://{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_cluster: Postgres) -> str:
    """The name of an empty migrated database, to be copied."""
    migrate(postgres_cluster.create_database("migrated"))
    return "migrated"


@pytest.fixture
def sqlite_database(migrated_sqlite: Path, tmp_path: Path) -> str:
    """URL of an empty database of the test's own."""
    return f"sqlite://{shutil.copy(migrated_sqlite, tmp_path / 'server.sqlite3')}"


@pytest.fixture
def postgres_database(migrated_postgres: str, postgres_server: Postgres) -> str:
    """URL of an empty database of the test's own, in ``postgres_server``."""
    return postgres_server.create_database(f"server{next(_numbers)}", migrated_postgres)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> str:
    """URL of an empty database of the test's own, of each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_database")
    return url


@pytest.fixture
async def memory() -> AsyncIterator[None]:
    """Keep documents in memory, and close the rooms in the end."""
    # Not at the top: Django is not set up yet when pytest loads this.
    from channels.layers import channel_layers

    from collab.testing import close_rooms, use_memory_storage

    with use_memory_storage():
        yield
        await close_rooms()
        for layer in channel_layers.backends.values():
            await layer.flush()


class StartServer(Protocol):
    """Starts a server; see :class:`~tests.harness.server.Server` for the arguments."""

    def __call__(self, database: str | None = None, /, **options: Any) -> Server: ...


@pytest.fixture
def start_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartServer]:
    """Start servers; by default they share one SQLite database."""
    # In whichever order a test names its fixtures, servers end before the services that they use.
    for marker, service in SERVICES.items():
        if request.node.get_closest_marker(marker):
            request.getfixturevalue(service)
    servers: list[Server] = []

    def start(database: str | None = None, /, **options: Any) -> Server:
        url = request.getfixturevalue("sqlite_database") if database is None else database
        server = Server(tmp_path / f"server{len(servers)}.log", url, **options)
        servers.append(server)
        server.start()
        return server

    yield start
    _close_all([server.close for server in servers])


def _close_all(closers: list[Callable[[], None]]) -> None:
    """Call all of them, also if one raises."""
    if closers:
        try:
            closers[0]()
        finally:
            _close_all(closers[1:])


@pytest.fixture
def server(start_server: StartServer) -> Server:
    """A running server with default settings on a SQLite database."""
    return start_server()
