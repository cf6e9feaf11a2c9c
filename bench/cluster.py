"""Server processes behind one Redis, on one SQLite file, and what they use."""

from __future__ import annotations

import re
import shutil
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from tests.harness.server import Server
from tests.harness.services import Redis

from .process import cpu_seconds, memory_bytes, quiet
from .servers import CONTESTANTS, UNLIMITED, Running

__all__ = ["Cluster", "Setup", "Usage"]


@dataclass(frozen=True)
class Usage:
    """The use of the machine since the start, or between two moments.

    Args:
        cpu: seconds of each server process.
        redis_cpu: seconds of Redis.
        commands: that Redis has carried out, those in scripts included.
        connections: that were opened to Redis.
        sent: messages that each process has sent through the channel layer.
        received: messages that each process has received, its own included.
        rereads: times a live document was read again from the storage.
        repaired: answers that brought what a message had not.
    """

    cpu: Sequence[float]
    redis_cpu: float
    commands: float
    connections: float
    sent: Sequence[float]
    received: Sequence[float]
    rereads: float
    repaired: float

    def since(self, before: Usage) -> Usage:
        """Return the usage between two moments."""
        return Usage(
            _differences(self.cpu, before.cpu),
            self.redis_cpu - before.redis_cpu,
            self.commands - before.commands,
            self.connections - before.connections,
            _differences(self.sent, before.sent),
            _differences(self.received, before.received),
            self.rereads - before.rereads,
            self.repaired - before.repaired,
        )


def _differences(after: Sequence[float], before: Sequence[float]) -> list[float]:
    return [end - start for end, start in zip(after, before, strict=True)]


class Cluster:
    """Processes that serve the same documents.

    Args:
        servers: the processes.
        redis_url: of the Redis between them, if there is one.
    """

    def __init__(self, servers: Sequence[Server], redis_url: str | None) -> None:
        contestant = CONTESTANTS["collab"]
        self.servers = servers
        self.running = [
            Running(contestant, server.process.pid, server.port, "/ws/") for server in servers
        ]
        self.has_layer = redis_url is not None
        self._redis = None if redis_url is None else redis.Redis.from_url(redis_url)

    def close(self) -> None:
        """Leave Redis."""
        if self._redis is not None:
            self._redis.close()

    async def rest(self) -> None:
        """Wait until no process has anything left to do."""
        for server in self.running:
            await quiet(server.pid)

    def memory(self) -> int:
        """Return the bytes that all processes hold together."""
        return sum(memory_bytes(server.pid) for server in self.running)

    def usage(self) -> Usage:
        """Return the usage up to now."""
        # To ask the processes costs them something: before their clocks are read.
        metrics = self._metrics()
        return self._usage(self._cpu(), metrics)

    def used_since(self, before: Usage) -> Usage:
        """Return the usage since ``usage()`` was called."""
        cpu = self._cpu()
        return self._usage(cpu, self._metrics()).since(before)

    def _cpu(self) -> list[float]:
        return [cpu_seconds(server.pid) for server in self.running]

    def _metrics(self) -> list[dict[str, float]]:
        return [_metrics(server.port) for server in self.running]

    def _usage(self, cpu: list[float], metrics: list[dict[str, float]]) -> Usage:
        info = {} if self._redis is None else self._redis.info()
        assert isinstance(info, dict)
        return Usage(
            cpu,
            info.get("used_cpu_user", 0.0) + info.get("used_cpu_sys", 0.0),
            info.get("total_commands_processed", 0),
            info.get("total_connections_received", 0),
            [of_one["collab_relay_sent_messages_total"] for of_one in metrics],
            [of_one["collab_relay_received_messages_total"] for of_one in metrics],
            sum(of_one["collab_storage_rereads_total"] for of_one in metrics),
            sum(of_one["collab_relay_repaired_gaps_total"] for of_one in metrics),
        )


def _metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/collab/metrics") as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}


@dataclass(frozen=True)
class Setup:
    """The number of processes, and what is between them.

    Args:
        processes: that serve.
        layer: ``core`` for ``RedisChannelLayer``, ``pubsub`` for ``RedisPubSubChannelLayer``,
            empty for none, as one process needs none.
    """

    processes: int
    layer: str = ""

    @property
    def name(self) -> str:
        """The name in tables."""
        return f"{self.processes} {self.layer}".strip()

    @contextmanager
    def run(self, empty: Path) -> Iterator[Cluster]:
        """Run it as long as the context is open.

        Args:
            empty: a migrated SQLite file, of which it gets a copy.
        """
        with ExitStack() as stack:
            directory = Path(stack.enter_context(TemporaryDirectory()))
            database = f"sqlite://{shutil.copy(empty, directory / 'bench.sqlite3')}"
            url = stack.enter_context(_redis(directory)) if self.layer else None
            servers = [
                stack.enter_context(self._server(directory / str(number), database, url))
                for number in range(self.processes)
            ]
            yield stack.enter_context(closing(Cluster(servers, url)))

    @contextmanager
    def _server(self, directory: Path, database: str, url: str | None) -> Iterator[Server]:
        directory.mkdir()
        server = Server(
            directory / "log",
            database,
            collab=UNLIMITED,
            redis=url,
            environment={"COLLAB_TEST_LAYER": self.layer or "core"},
        )
        try:
            server.start()
            yield server
        finally:
            server.close()


@contextmanager
def _redis(directory: Path) -> Iterator[str]:
    server = Redis(directory)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()
