"""The cost of sending a saved row to clients: ours beside djangochannelsrestframework.

All serve one small project (``peers/django-rows``) in a process of uvicorn. Tasks are saved by an
HTTP view, one after the other; the next is saved when all subscribers have the one before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from importlib.metadata import version
from itertools import count, product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Self
from urllib.parse import quote

from collab import __version__
from collab.protocol.frames import step1_frame
from tests.harness.server import ROOT
from tests.harness.services import Postgres
from tests.settings import database

from .compare import allow_many_sockets
from .process import quiet
from .scenarios.base import Figures, percentiles, times
from .servers import PEERS, UNLIMITED, Contestant, Running, free_port, make_venv, running_process
from .table import circumstances, table
from .websocket import BINARY, PATIENCE, TEXT, Connection, client_frame, settle

__all__ = ["DATABASES", "add_arguments", "environment", "prepare", "run"]

PROJECT = PEERS / "django-rows"
VENV = ROOT / "build" / "bench-rows-venv"
PEER = "djangochannelsrestframework"
#: The peer gets the same releases as we have.
_SHARED = [
    *("django", "djangorestframework", "channels", "psycopg", "psycopg-binary"),
    *("uvicorn", "websockets", "httptools", "uvloop"),
]

DATABASES = ["sqlite", "postgres"]

#: Tasks of the board that is open, and of the one that is loaded.
_SMALL, _LARGE = 100, 10_000
#: The first task of board 0.
_TASK = 1
_SAVES, _LOADS = 100, 20
_SUBSCRIBERS = (10, 200)


# The contestants.


class Watcher(Connection):
    """A client that has a board open, and looks for a mark in all that it gets.

    Args:
        server: whose client it is.
        found: is called when it has found the mark.
    """

    def __init__(self, server: Running, found: Callable[[], None]) -> None:
        super().__init__(server, "room-0")
        #: What it looks for, if for anything.
        self.mark = b""
        self._found = found
        self._first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Connect, and return when it will be told of what is saved."""
        await self.connect()
        self._subscribe()
        async with asyncio.timeout(PATIENCE):
            self._check(await self._first)

    def _subscribe(self) -> None:
        self.send(client_frame(step1_frame(b"\0")))

    def _check(self, answer: bytes) -> None:
        """See to it that the first answer is a good one."""

    def _is_answer(self, payload: bytes) -> bool:
        return payload.startswith(b"\x00\x01")

    def take(self, data: bytes) -> None:
        for head, payload in self.frames(data):
            if head not in (BINARY, TEXT):
                self.control(head, payload)
            elif self.mark and self.mark in payload:
                self.mark = b""
                self._found()
            elif not self._first.done() and self._is_answer(payload):
                self._first.set_result(payload)

    def fail(self, error: Exception) -> None:
        super().fail(error)
        settle(self._first, error)


class JsonWatcher(Watcher):
    """A client of djangochannelsrestframework, which gets text frames."""

    def _subscribe(self) -> None:
        for message in self.server.contestant.greeting(self.room):
            self.send(client_frame(message, TEXT))

    def _is_answer(self, payload: bytes) -> bool:
        return True

    def _check(self, answer: bytes) -> None:
        if json.loads(answer)["response_status"] != 201:
            raise ConnectionError(answer.decode())


class Site(Contestant):
    """The project, served with what tells clients of saved tasks.

    Args:
        name: what tables call it.
        serves: the module of the project that does it.
        request: by which a client subscribes, if it has to.
    """

    def __init__(self, name: str, serves: str, request: dict[str, Any] | None = None) -> None:
        self.name = name
        self.serves = serves
        self._request = request
        self.watcher_type = JsonWatcher if request else Watcher

    @property
    def is_ours(self) -> bool:
        """Whether it runs this package."""
        return self.serves.startswith(("by_collab", "by_live"))

    @property
    def python(self) -> str:
        """The interpreter that runs it."""
        is_peer = self._request and not self.is_ours
        return str(VENV / "bin" / "python") if is_peer else sys.executable

    def install(self) -> None:
        if self._request and not self.is_ours:
            own = [f"--constraint={ROOT / 'constraints.txt'}", f"{PEER}==1.3.0"]
            make_venv(VENV, [*own, *(f"{name}=={version(name)}" for name in _SHARED)])

    def version(self) -> str:
        return __version__

    def greeting(self, room: str) -> Sequence[bytes]:
        request = self._request and {"request_id": 1, **self._request}
        return (json.dumps(request).encode(),) if request else ()

    @contextmanager
    def run(self, url: str = "") -> Iterator[Running]:
        """Run it on the empty database at ``url``, by default one of SQLite.

        The tasks of board 0 are few, those of board 1 many.
        """
        with TemporaryDirectory() as directory:
            variables = environment(self.serves, url or f"sqlite://{directory}/bench.sqlite3")
            with self._run(variables) as running:
                yield running

    @contextmanager
    def _run(self, variables: dict[str, str]) -> Iterator[Running]:
        prepare(self.python, variables, _SMALL, _LARGE)
        port = free_port()
        command = [
            *(self.python, "-m", "uvicorn", "board.asgi:application", "--port", str(port)),
            *("--ws", "websockets-sansio", "--log-level", "warning"),
        ]
        with running_process(command, port, variables) as pid:
            yield Running(self, pid, port, "/ws/")


NOTHING = Site("nothing", "by_nobody")
COLLAB = Site("collab", "by_collab")
_OF_BOARD = {"action": "subscribe", "board": 0}
_OF_TASK = {"action": "subscribe_instance", "pk": _TASK}
LIVE_OBSERVER = Site("collab.live model_observer", "by_live_model_observer", _OF_BOARD)
LIVE_INSTANCE = Site("collab.live instances", "by_live_instance_observer", _OF_TASK)
OBSERVER = Site("model_observer", "by_model_observer", _OF_BOARD)
INSTANCE = Site("ObserverModelInstanceMixin", "by_instance_observer", _OF_TASK)
SITES = {
    site.name: site for site in (NOTHING, COLLAB, LIVE_OBSERVER, LIVE_INSTANCE, OBSERVER, INSTANCE)
}


def environment(serves: str, url: str) -> dict[str, str]:
    """Return the variables of a process of the project, on the database at ``url``."""
    is_ours = serves.startswith(("by_collab", "by_live"))
    path = [PROJECT, ROOT, ROOT / "storage"] if is_ours else [PROJECT]
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "board.settings",
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "BENCH_SERVES": serves,
        "BENCH_DATABASE": json.dumps(database(url), default=str),
        # Closed as soon as nobody has it open, so that it can be measured.
        "BENCH_COLLAB": json.dumps({**UNLIMITED, "UNLOAD_DELAY": 0}),
    }


def prepare(python: str, variables: dict[str, str], *sizes: int) -> None:
    """Make the tables and boards with so many tasks each."""
    command = [python, "-m", "board.prepare", *map(str, sizes)]
    subprocess.run(command, check=True, env=variables)


# What is measured.


class Audience:
    """Clients that have a board open.

    Args:
        server: which serves the project.
        size: how many they are.
    """

    def __init__(self, server: Running, size: int) -> None:
        assert isinstance(server.contestant, Site)
        kind = server.contestant.watcher_type
        self._watchers = [kind(server, self._note) for _ in range(size)]
        self._finished: asyncio.Future[None]
        #: When each of them has found the mark of the last save.
        self.found_at: list[float] = []

    async def __aenter__(self) -> Self:
        for watcher in self._watchers:
            await watcher.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        for watcher in self._watchers:
            watcher.close()

    def expect(self, mark: bytes) -> None:
        """Make all clients look for ``mark``."""
        self.found_at = []
        self._finished = asyncio.get_running_loop().create_future()
        for watcher in self._watchers:
            watcher.mark = mark
        if not self._watchers:
            settle(self._finished)

    async def found(self) -> None:
        """Wait until all have found it."""
        async with asyncio.timeout(PATIENCE):
            await self._finished

    def _note(self) -> None:
        self.found_at.append(perf_counter())
        if len(self.found_at) == len(self._watchers):
            settle(self._finished)


class Measurement:
    """Measures one server.

    Args:
        server: which serves the project.
        scale: of the work to do.
    """

    def __init__(self, server: Running, scale: float) -> None:
        self._server = server
        self._scale = scale
        self._numbers = count()

    async def figures(self) -> dict[str, Figures]:
        """Return figures by the title of what was done."""
        found = {"load 10,000 rows": await self._load()}
        found["save a row that nobody has ever opened"] = await self._save(0)
        if self._server.contestant is NOTHING:
            return found
        if self._server.contestant is COLLAB:
            async with Audience(self._server, 1):
                pass
            found["save a row, nobody has it open"] = await self._save(0)
        for size in _SUBSCRIBERS:
            title = f"save a row that {size} have open"
            found[title] = await self._save(times(size, self._scale))
        return found

    async def _load(self) -> Figures:
        answers = [self._ask("/load/1") for _ in range(times(_LOADS, self._scale))]
        assert all(answer["number"] == _LARGE for answer in answers)
        return {"time, ms": median(answer["seconds"] for answer in answers) * 1e3}

    async def _save(self, size: int) -> Figures:
        number = times(_SAVES, self._scale)
        async with Audience(self._server, size) as audience:
            for _ in range(times(number, 0.1)):
                await self._save_once(audience)
            used, statements = await quiet(self._server.pid), self._statements()
            answers = [await self._save_once(audience) for _ in range(number)]
            used = await quiet(self._server.pid) - used
            statements = self._statements() - statements
        figures = {
            # The view has read the row before.
            "SQL statements": statements / number - 1,
            "time of save(), ms": median(seconds for seconds, _ in answers) * 1e3,
            "CPU of the server, ms": used / number * 1e3,
        }
        latencies = [latency for _, those in answers for latency in those]
        return figures | (percentiles("with clients after", latencies) if latencies else {})

    async def _save_once(self, audience: Audience) -> tuple[float, list[float]]:
        """Save a task; return how long that took, and when each client had it."""
        mark = f"<w0000r{next(self._numbers):06d}>"
        audience.expect(mark.encode())
        answer = await asyncio.to_thread(self._ask, f"/save/{_TASK}/{quote(mark)}")
        await audience.found()
        return answer["seconds"], [at - answer["began"] for at in audience.found_at]

    def _statements(self) -> float:
        statements: float = self._ask("/count")["statements"]
        return statements

    def _ask(self, path: str) -> dict[str, Any]:
        with closing(HTTPConnection("127.0.0.1", self._server.port)) as connection:
            connection.request("GET", path)
            answer: dict[str, Any] = json.load(connection.getresponse())
        return answer


# The command.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument(
        "--servers",
        nargs="+",
        default=list(SITES),
        choices=SITES,
        metavar="NAME",
        help=f"which to measure: {', '.join(SITES)} (all)",
    )
    parser.add_argument("--database", default="sqlite", choices=DATABASES)
    parser.add_argument("--repeat", type=int, default=3, help="take the median of so many (3)")
    parser.add_argument("--scale", type=float, default=1.0, help="less, to try it (1.0)")


def run(arguments: argparse.Namespace) -> int:
    """Measure all sites and print a table."""
    allow_many_sockets()
    sites = [SITES[name] for name in arguments.servers]
    for site in sites:
        site.install()
    rows: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with _databases(arguments.database) as new_database:
        for number, site in product(range(arguments.repeat), sites):
            print(f"{number + 1}/{arguments.repeat} {site.name}", file=sys.stderr)
            with site.run(new_database()) as server:
                figures = asyncio.run(Measurement(server, arguments.scale).figures())
            for title, of_title in figures.items():
                for what, value in of_title.items():
                    rows[title, what][site.name].append(value)
    lines = table(rows, arguments.servers, [OBSERVER.name])
    print("\n".join([*lines, "", _circumstances(arguments)]))
    return 0


@contextmanager
def _databases(kind: str) -> Iterator[Callable[[], str]]:
    """Yield a function that returns the URL of a new database."""
    numbers = count()
    with TemporaryDirectory() as directory:
        if kind == "sqlite":
            yield lambda: f"sqlite://{directory}/bench{next(numbers)}.sqlite3"
            return
        # Somebody else than root runs it.
        os.chmod(directory, 0o755)
        cluster = Postgres(Path(directory) / "postgres")
        cluster.directory.mkdir()
        cluster.initialize()
        cluster.start()
        try:
            yield lambda: cluster.create_database(f"bench{next(numbers)}")
        finally:
            cluster.stop()


def _circumstances(arguments: argparse.Namespace) -> str:
    peer = next(VENV.glob(f"lib/*/site-packages/{PEER}-*.dist-info")).stem.partition("-")[2]
    releases = [arguments.database, f"collab {__version__}", f"{PEER} {peer}"]
    return circumstances(arguments.repeat, releases, ["django", "pycrdt", "uvicorn", "websockets"])
