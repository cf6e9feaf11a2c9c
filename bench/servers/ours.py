"""This project, on each database, and on each server that runs Channels."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.process import process_tree
from collab import __version__
from tests.harness.fixtures import migrate
from tests.harness.server import ROOT, Server
from tests.harness.services import Postgres

from .base import BUILD, PEERS, Addressed, Contestant, Program, Running, free_port, make_venv

__all__ = [
    "UNLIMITED",
    "Collab",
    "CollabAddressed",
    "CollabElsewhere",
    "collab_server",
    "migrated_file",
]

#: A load generator sends faster than the server lets anybody by default.
UNLIMITED = {
    "MAX_ADDRESS_CONNECTIONS": 10**6,
    "MESSAGE_RATE": 1e9,
    "MESSAGE_BURST": 10**9,
    "BYTE_RATE": 1e12,
    "BYTE_BURST": 10**12,
}
#: Nobody should have to wait as long as by default until rooms are asleep.
_SETTINGS = {**UNLIMITED, "SLEEP_DELAY": 5}

#: The copy of the project with compiled modules, which `make compile` makes.
COMPILED = BUILD / "compiled"

_APPLICATION = "tests.harness.app:application"
_VENV = BUILD / "bench-asgi-venv"
_REQUIREMENTS = PEERS / "asgi-servers" / "requirements.txt"

#: How long code in a process of its own may take, in seconds.
_PATIENCE = 600.0

#: Who says this is told what is stored.
_HELLO = '{"action": "hello", "request_id": 1}'

_numbers = count()


# Databases.


@cache
def _kept() -> ExitStack:
    """Return what lives as long as this process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack


@cache
def migrated_file() -> Path:
    """Return an empty SQLite database with all tables, to be copied."""
    file = Path(_kept().enter_context(TemporaryDirectory())) / "migrated.sqlite3"
    migrate(f"sqlite://{file}")
    return file


class _Cluster(Postgres):
    """PostgreSQL that writes to the disk, as one in production does.

    Which has files of its log to use again, where a new one would fill new ones with zeros first.
    """

    def _command(self) -> list[str]:
        return [*super()._command(), "-c", "fsync=on", "-c", "wal_init_zero=off"]


@cache
def _cluster() -> _Cluster:
    """Return a running PostgreSQL, with an empty database ``migrated`` that has all tables."""
    cluster = _Cluster(Path(_kept().enter_context(TemporaryDirectory())))
    cluster.initialize()
    cluster.start()
    _kept().callback(cluster.stop)
    migrate(cluster.create_database("migrated"))
    return cluster


@dataclass(frozen=True)
class Database:
    """An empty database.

    Args:
        url: where it is.
        store: the directory with its files, as far as they are its own.
        pids: returns the ids of its processes.
    """

    url: str
    store: Path | None = None
    pids: Callable[[], list[int]] | None = None


def _sqlite(directory: Path) -> Database:
    store = directory / "store"
    store.mkdir()
    return Database(f"sqlite://{shutil.copy(migrated_file(), store / 'bench.sqlite3')}", store)


def _postgres(directory: Path) -> Database:
    cluster = _cluster()
    url = cluster.create_database(f"bench{next(_numbers)}", "migrated")
    return Database(url, pids=lambda: process_tree(cluster.pid))


_DATABASES = {"sqlite": _sqlite, "postgres": _postgres}


# Servers.


@contextmanager
def _database_for(kind: str) -> Iterator[tuple[Path, Database]]:
    with TemporaryDirectory() as name:
        directory = Path(name)
        yield directory, _DATABASES[kind](directory)


def _server(
    directory: Path, database: Database, environment: Mapping[str, str], root: Path = ROOT
) -> Server:
    log = directory / "server.log"
    # Also of one that is served in another way, and writes nothing there.
    log.touch()
    return Server(
        log,
        database.url,
        collab=_SETTINGS,
        # None of the others writes a line for each connection.
        environment={"COLLAB_TEST_LOG_LEVEL": "WARNING", **environment},
        root=root,
    )


@contextmanager
def _serving(
    kind: str, environment: Mapping[str, str], root: Path = COMPILED
) -> Iterator[tuple[Server, Database]]:
    with _database_for(kind) as (directory, database):
        server = _server(directory, database, environment, root)
        try:
            server.start()
            yield server, database
        finally:
            server.close()


@contextmanager
def collab_server() -> Iterator[Server]:
    """Run ours, on a new SQLite database."""
    with _serving("sqlite", {}, ROOT) as (server, _):
        yield server


class Collab(Contestant):
    """This project on uvicorn.

    Args:
        name: what tables call it.
        route: of :mod:`tests.harness.app`.
        database: ``sqlite`` or ``postgres``.
        websockets: uvicorn's option ``--ws``; by default what the documentation advises.
        root: of the copy of the project that is served; by default the compiled one.
    """

    is_peer = False

    def __init__(
        self,
        name: str,
        route: str = "ws",
        database: str = "sqlite",
        websockets: str = "collab.sockets:WebSocketProtocol",
        root: Path = COMPILED,
    ) -> None:
        self.name = name
        self._root = root
        self.is_stored = route == "ws"
        self.hello = _HELLO if self.is_stored else None
        self._route = route
        self._database = database
        self._environment = {"COLLAB_TEST_WS": websockets}

    def install(self) -> None:
        {"sqlite": migrated_file, "postgres": _cluster}[self._database]()
        if not self._root.exists():
            raise RuntimeError(f"{self._root} is missing: run `make compile` first.")

    def version(self) -> str:
        return __version__

    @contextmanager
    def run(self) -> Iterator[Running]:
        with _serving(self._database, self._environment, self._root) as (server, database):
            yield self._running(server, database)

    def _running(self, server: Server, database: Database) -> Running:
        def restart() -> int:
            server.restart()
            return server.process.pid

        return Running(
            self,
            server.process.pid,
            server.port,
            f"/{self._route}/",
            restart=restart,
            store=database.store if self.is_stored else None,
            database=database.pids,
            run_code=partial(server.run_code, within=_PATIENCE),
        )


class CollabAddressed(Addressed, Collab):
    """This project, for clients of Hocuspocus.

    Args:
        name: what tables call it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, route="addressed")
        self.is_stored = True
        # It has no text frames; each update is reported by a message of its own.
        self.hello = None


class CollabElsewhere(Contestant):
    """This project on another ASGI server, in an environment that has it beside ours.

    Args:
        name: what tables call it.
        package: whose release is told, and whose module is run.
        arguments: of its command line; ``{port}`` is where it listens.
    """

    is_peer = False
    hello = _HELLO
    is_stored = True

    def __init__(self, name: str, package: str, arguments: str) -> None:
        self.name = name
        self._package = package
        self._arguments = arguments

    def install(self) -> None:
        migrated_file()
        ours = Path(sysconfig.get_path("purelib"))
        make_venv(_VENV, _REQUIREMENTS.read_text().splitlines(), ours)

    def version(self) -> str:
        code = f"from importlib.metadata import version; print(version('{self._package}'))"
        python = str(_VENV / "bin" / "python")
        release = subprocess.check_output([python, "-c", code], text=True).strip()
        return f"{__version__} on {self._package} {release}"

    @contextmanager
    def run(self) -> Iterator[Running]:
        with _database_for("sqlite") as (directory, database):
            # What uvicorn gets from its environment, these get, too.
            server = _server(directory, database, {})
            program = self._program(server.environment)
            try:
                yield Running(
                    self,
                    program.start(),
                    program.port,
                    "/ws/",
                    restart=program.restart,
                    store=database.store,
                    run_code=partial(server.run_code, within=_PATIENCE),
                )
            finally:
                program.kill()
                server.close()

    def _program(self, environment: Mapping[str, str]) -> Program:
        port = free_port()
        arguments = self._arguments.format(port=port).split()
        python = str(_VENV / "bin" / "python")
        return Program([python, "-m", self._package, *arguments, _APPLICATION], port, environment)
