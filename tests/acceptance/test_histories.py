"""The histories that clients read while networks and servers fail are those of one document.

Clients write through proxies that hold one direction, or cut; servers are killed and paused. Half
of the writers are clients, half are transactions of the ORM. Each state that a client sees is
checked:

- read your writes, and monotonic reads: an entry that was seen, or written here, is always seen,
- monotonic writes: with an entry, all earlier ones of its writer are seen,
- atomic visibility: what one transaction wrote is seen as a whole, or not at all,
- durability: what a client was told is saved is in what server code reads.

In the end all see all, and each client can still write.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from contextlib import suppress

from pycrdt import Map
from websockets.exceptions import WebSocketException

from tests.harness.client import YjsClient
from tests.harness.fixtures import StartServer
from tests.harness.proxy import Proxy
from tests.harness.server import ROOT, Server
from tests.harness.services import Redis
from tests.harness.waiting import until

#: ``make fuzz-history-checker`` asks for more.
SECONDS = float(os.environ.get("HISTORY_SECONDS", "4"))
SEED = int(os.environ.get("HISTORY_SEED", "1"))

WRITERS = 4
ROOM = "board-1"
QUICK = {
    "DRAIN_TIME": 0.2,
    "UNLOAD_DELAY": 0.5,
    "RELAY": {"digest": 1, "timeout": 0.5},
    "RELAY_STORAGE_INTERVAL": 0.5,
    "COMPACT_AFTER": 30,
}
#: Logged by a server whose peer, or database lock, is gone for a moment.
FAULTS = "could not be|cannot be|locked"

#: Writes the same number into two rows of the document, in one transaction, until its input ends.
ORM_WRITER = """
import sys
import threading

import django

django.setup(set_prefix=False)

from django.db import transaction
from tests.rows.models import Board, Task

board, _ = Board.objects.get_or_create(pk=1, defaults={"name": "board"})
rows = [Task.objects.create(board=board, title="0") for _ in range(2)]
is_over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
number = 0
while not is_over.wait(0.02):
    number += 1
    with transaction.atomic():
        for row in rows:
            row.title = str(number)
            row.save()
print(number, *(row.pk for row in rows))
"""

READ = """
import json
from collab import documents
from pycrdt import Map
print(json.dumps(documents.read("board-1").get("entries", type=Map).to_py()))
"""


class Writer:
    """A client that writes numbered entries, always comes back, and checks what it sees."""

    def __init__(self, number: int, proxy: Proxy) -> None:
        self.number = number
        self.client = YjsClient(f"ws://127.0.0.1:{proxy.port}/ws/{ROOM}")
        self.client.listeners.append(self._look)
        self.written = 0
        #: Entries that the server said are stored.
        self.saved = 0
        self._seen: Counter[str] = Counter()
        #: Entries that the frames sent on this connection have told of, by their count.
        self._sent: list[tuple[int, int]] = []
        self.violations: list[str] = []

    async def live(self) -> None:
        """Connect again and again."""
        while True:
            with suppress(
                OSError, WebSocketException, TimeoutError, AssertionError, ConnectionError
            ):
                self._sent.clear()
                await self.client.connect()
                await self.client.send('{"action":"hello","request_id":0}')
                await self.client.wait_closed()
            # As clients do before they connect again.
            await asyncio.sleep(0.05)

    async def write(self) -> None:
        """Write an entry into two maps, in one transaction."""
        self.written += 1
        key = f"{self.number}-{self.written}"
        with suppress(WebSocketException, OSError, AssertionError):
            async with self.client.edit() as doc:
                for name in ("entries", "copies"):
                    doc.get(name, type=Map)[key] = self.written
            if self.client.connected and self.client.synced:
                self._sent.append((self.client.sent, self.written))

    def _look(self) -> None:
        doc = self.client.doc
        entries = doc.get("entries", type=Map).to_py() or {}
        copies = doc.get("copies", type=Map).to_py() or {}
        self._check(entries == copies, f"half of a transaction: {entries.items() ^ copies.items()}")
        seen = Counter(key.partition("-")[0] for key in entries)
        for writer, count in self._seen.items():
            self._check(seen[writer] >= count, f"entries of {writer} that were seen are gone")
        for writer, count in seen.items():
            has_all = all(f"{writer}-{number}" in entries for number in range(1, count + 1))
            # Until it is in sync, pycrdt integrates what comes beside gaps that step 2 will fill.
            is_right = has_all or not self.client.synced
            self._check(is_right, f"an entry of {writer} is seen before an earlier one")
        self._check(seen[str(self.number)] >= self.written, "own entries are gone")
        self._seen = seen
        titles = {row.get("title") for row in (doc.get("tasks", type=Map).to_py() or {}).values()}
        self._check(len(titles) <= 1, f"half of a transaction of the ORM: {titles}")
        for count, written in self._sent:
            if self.client.saved >= count:
                self.saved = max(self.saved, written)

    def _check(self, holds: bool, sentence: str) -> None:
        if not holds:
            self.violations.append(f"client {self.number}: {sentence}")

    def has_all_of(self, writers: list[Writer]) -> bool:
        """Return whether it sees all that was written."""
        return all(self._seen[str(writer.number)] == writer.written for writer in writers)


class Faults:
    """Lets one thing after the other fail."""

    def __init__(self, drawn: random.Random, servers: list[Server], proxies: list[Proxy]) -> None:
        self._drawn = drawn
        self._servers = servers
        self._proxies = proxies
        self.happened: Counter[str] = Counter()

    async def one(self) -> None:
        """Make something fail for a moment."""
        kinds = [self.hold_there, self.hold_back, self.cut, self.pause, self.kill]
        kind = self._drawn.choices(kinds, [4, 4, 4, 1, 1])[0]
        self.happened[kind.__name__] += 1
        await kind()

    async def hold_there(self) -> None:
        proxy = self._drawn.choice(self._proxies)
        proxy.there.clear()
        await self._moment()
        proxy.there.set()

    async def hold_back(self) -> None:
        proxy = self._drawn.choice(self._proxies)
        proxy.back.clear()
        await self._moment()
        proxy.back.set()

    async def cut(self) -> None:
        self._drawn.choice(self._proxies).cut()
        # Clients come back before the next fault, as a rule.
        await asyncio.sleep(0.05)

    async def pause(self) -> None:
        server = self._drawn.choice(self._servers)
        server.pause()
        await self._moment()
        server.resume()

    async def kill(self) -> None:
        server = self._drawn.choice(self._servers)
        await asyncio.to_thread(server.kill)
        await self._moment()
        await asyncio.to_thread(server.start)

    async def _moment(self) -> None:
        # What fails does so for a time.
        await asyncio.sleep(self._drawn.uniform(0.05, 0.6))


def start_orm_writer(server: Server) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ORM_WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=server.environment,
    )


async def test_each_client_reads_a_history_of_one_document(
    start_server: StartServer, redis_server: Redis, sqlite_database: str
) -> None:
    drawn = random.Random(SEED)
    servers = [
        start_server(sqlite_database, collab=QUICK, redis=redis_server.url) for _ in range(2)
    ]
    for server in servers:
        server.allow_errors(FAULTS)
    proxies = [Proxy(*(server.port for server in servers)) for _ in range(WRITERS)]
    for proxy in proxies:
        await proxy.start()
    writers = [Writer(number, proxy) for number, proxy in enumerate(proxies, 1)]
    orm = start_orm_writer(servers[0])
    lives = [asyncio.create_task(writer.live()) for writer in writers]
    faults = Faults(drawn, servers, proxies)
    try:
        failing = asyncio.create_task(fail_for(faults, SECONDS))
        while not failing.done():
            await drawn.choice(writers).write()
            # Writes come at any time of a fault, also close together.
            await asyncio.sleep(drawn.uniform(0, 0.04))
        await failing
        # All is well again: nobody is left behind, and each can write.
        for writer in writers:
            await writer.write()
        output, _ = await asyncio.to_thread(orm.communicate, "")
        number, *keys = output.split()
        await until(lambda: all(sees(writer, writers, number, keys) for writer in writers))
        stored = json.loads(await asyncio.to_thread(servers[0].run_code, READ))
        for writer in writers:
            assert writer.violations == [], faults.happened
            for saved in range(1, writer.saved + 1):
                assert f"{writer.number}-{saved}" in stored, "it was said to be saved"
        assert any(writer.saved for writer in writers)
        print(sum(writer.written for writer in writers), number, dict(faults.happened))
    finally:
        orm.kill()
        for proxy in proxies:
            await proxy.close()
        # With the network, each client's connection ends; none is left to a later test.
        await until(lambda: not any(writer.client.connected for writer in writers))
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)


async def fail_for(faults: Faults, seconds: float) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        await faults.one()


def sees(writer: Writer, writers: list[Writer], number: str, keys: list[str]) -> bool:
    rows = writer.client.doc.get("tasks", type=Map).to_py() or {}
    is_current = [rows.get(key, {}).get("title") for key in keys] == [number] * len(keys)
    return is_current and writer.has_all_of(writers)
