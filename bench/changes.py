"""The cost of calling ``changed()`` of document types: latency, SQL, many documents, editing.

A server of the test project delivers the changes, as it does for any project. Its type writes a
line to a file, so that nearly all that is measured is the delivery.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from collab import __version__
from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import migrate
from tests.harness.server import Server
from tests.harness.services import Postgres
from tests.harness.waiting import until

from .table import circumstances, table

__all__ = ["add_arguments", "run"]

_DATABASES = ["sqlite", "postgres"]
#: Receivers in trouble: more that hang than run at once, some that raise, one that takes 30 s.
_TROUBLE = [f"hangs/{n}" for n in range(6)] + [f"raises/{n}" for n in range(5)] + ["slow/0"]

_EDIT = """
from django.db import transaction
from pycrdt import Text
from collab import documents

def edit(name):
    with documents.edit(name) as doc:
        doc.get("text", type=Text).insert(0, "a")
"""
_EDIT_SOME = _EDIT + "for name in {names}: edit(name)"
_EDIT_MANY = (
    _EDIT
    + """
for first in range(0, {number}, 100):
    with transaction.atomic():
        for number in range(first, min(first + 100, {number})):
            edit(f"timed/{{number}}")
"""
)
_COUNT_SQL = (
    _EDIT
    + """
import json
from django.db import connection
from django.test.utils import CaptureQueriesContext
from collab.documents.changes.deliverer import Deliverer

with CaptureQueriesContext(connection) as recording:
    for number in range(100):
        edit(f"timed/counted{number}")
with CaptureQueriesContext(connection) as delivery:
    Deliverer().deliver_all(wait=False)
queued = [query for query in recording.captured_queries if "queuedevent" in query["sql"]]
print(json.dumps([len(queued) / 100, len(delivery.captured_queries) / 100]))
"""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("--database", choices=_DATABASES, nargs="+", default=_DATABASES)
    parser.add_argument("--documents", type=int, default=10_000, help="changed at once (10000)")
    parser.add_argument("--edits", type=int, default=500, help="of each kind (500)")


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print the figures of each database."""
    rows: dict[tuple[str, str], dict[str, list[float]]] = {}
    for name in arguments.database:
        with TemporaryDirectory() as directory, _database(name, Path(directory)) as url:
            bench = _Bench(Path(directory), url, arguments.edits, arguments.documents)
            for row, value in asyncio.run(bench.measure()).items():
                rows.setdefault(row, {})[name] = [value]
    packages = ["django", "pycrdt", "psycopg"]
    lines = [*table(rows, arguments.database, []), "", circumstances(1, [_RELEASE], packages)]
    print("\n".join(lines))
    return 0


_RELEASE = f"collab {__version__}"


@contextmanager
def _database(name: str, directory: Path) -> Iterator[str]:
    """Yield the URL of a migrated database."""
    if name == "sqlite":
        url = f"sqlite://{directory}/bench.sqlite3"
        migrate(url)
        yield url
        return
    directory.chmod(0o755)
    cluster = Postgres(directory / "postgres")
    cluster.directory.mkdir()
    cluster.initialize()
    cluster.start()
    try:
        url = cluster.create_database("bench")
        migrate(url)
        yield url
    finally:
        cluster.stop()


class _Bench:
    """Measures on one database.

    Args:
        directory: for the server's log, and the file of the receiver.
        database: URL of a migrated database.
        edits: number of edits of each kind.
        documents: that are changed at once.
    """

    def __init__(self, directory: Path, database: str, edits: int, documents: int) -> None:
        self._calls = directory / "timed"
        self._edits = edits
        self._documents = documents
        environment = {
            "COLLAB_TEST_KEPT": str(directory),
            "COLLAB_TEST_LEASE": "60",
            "COLLAB_TEST_SLOW": "30",
        }
        self._server = Server(directory / "log", database, environment=environment)

    async def measure(self) -> dict[tuple[str, str], float]:
        """Return the figures by title and name."""
        found: dict[tuple[str, str], float] = {}
        recording, delivery = json.loads(await self._run(_COUNT_SQL))
        found["a change", "SQL statements that record it"] = recording
        found["a change", "SQL statements that deliver it"] = delivery
        await self._start()
        _add(found, "a change", "changed() after the edit", await self._latencies())
        async with self._typists() as pair:
            _add(found, "editing", "delivered after", await self._type(pair))
            await self._run(_EDIT_SOME.format(names=[f"troubled/{name}" for name in _TROUBLE]))
            title = "editing, receivers raise, hang and take 30 s"
            _add(found, title, "delivered after", await self._type(pair))
        await asyncio.to_thread(self._server.kill)
        await self._run(_EDIT_MANY.format(number=self._documents))
        await self._start()
        await self._deliver_many(found)
        await asyncio.to_thread(self._server.kill)
        return found

    async def _start(self) -> None:
        await asyncio.to_thread(self._server.start)

    async def _run(self, program: str) -> str:
        return await asyncio.to_thread(self._server.run_code, program, within=3600)

    def _lines(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    async def _latencies(self) -> list[float]:
        """Return the seconds from an edit until ``changed()`` begins, one edit after the other."""
        latencies = []
        async with self._server.client("timed/latency") as client:
            for _ in range(self._edits):
                before, began = len(self._lines()), time.time()
                await client.insert("a")
                await until(lambda: len(self._lines()) > before)  # noqa: B023 - not kept
                latencies.append(float(self._lines()[before].split()[1]) - began)
        return latencies

    @asynccontextmanager
    async def _typists(self) -> AsyncIterator[tuple[YjsClient, YjsClient]]:
        """Connect two clients to a document whose changes are delivered, too."""
        async with (
            self._server.client("timed/typed") as one,
            self._server.client("timed/typed") as other,
        ):
            yield one, other

    async def _type(self, pair: tuple[YjsClient, YjsClient]) -> list[float]:
        """Return the seconds until the other client has each edit of one."""
        return [await _edit_of(pair) for _ in range(self._edits)]

    async def _deliver_many(self, found: dict[tuple[str, str], float]) -> None:
        title = f"{self._documents:,} documents changed at once"
        before, began, latencies = len(self._lines()), time.time(), []
        async with self._typists() as pair:
            while len(_keys(self._lines()[before:])) < self._documents:
                latencies.append(await _edit_of(pair))
        last = max(float(line.split()[1]) for line in self._lines()[before:])
        found[title, "all delivered after, s"] = last - began
        found[title, "documents a second"] = self._documents / (last - began)
        _add(found, title, "editing meanwhile: delivered after", latencies)


def _keys(lines: list[str]) -> set[str]:
    """Return the documents of a crowd that lines of the receiver name."""
    return {key for key in (line.split()[0] for line in lines) if key.isdecimal()}


async def _edit_of(pair: tuple[YjsClient, YjsClient]) -> float:
    one, other = pair
    began, length = time.perf_counter(), len(one.text) + 1
    await one.insert("a")
    await wait_until(lambda: len(other.text) == length, other)
    return time.perf_counter() - began


def _add(found: dict[tuple[str, str], float], title: str, what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    for percent in (50, 99):
        value = ordered[len(ordered) * percent // 100]
        found[title, f"{what}, p{percent}, ms"] = 1000 * value
