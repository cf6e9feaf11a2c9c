"""The cost of sending something to connections from code that has no event loop."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from collab import __version__
from tests.harness.fixtures import migrate
from tests.harness.server import Server
from tests.harness.services import Redis

from .table import circumstances, table

__all__ = ["add_arguments", "run"]

_COLLAB = "collab: publish()"
_PEER = "async_to_sync(group_send)()"

#: Both send a message to a group, in turns, as a view would; each says what one call took.
_PROGRAM = """
import json, time
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from redis import Redis
from collab.live import publish

payload = {"text": "x" * 100}
redis = Redis.from_url(settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"][0])

def ours():
    publish("news", "told", payload)

def theirs():
    message = {"type": "told", "payload": payload}
    async_to_sync(get_channel_layer().group_send)("news", message)

def connections():
    return redis.info("stats")["total_connections_received"]

def measure(call):
    call()
    before, times = connections(), []
    for _ in range(%(calls)d):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
        # As busy as a process is that has more to do.
        time.sleep(0.001)
    times.sort()
    return {
        "time of a call, p50, µs": times[len(times) // 2] * 1e6,
        "time of a call, p99, µs": times[len(times) * 99 // 100] * 1e6,
        "Redis connections per call": (connections() - before) / len(times),
    }

print(json.dumps([[measure(ours), measure(theirs)] for _ in range(%(repeat)d)]))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("--calls", type=int, default=1_000, help="of each kind (1000)")
    parser.add_argument("--repeat", type=int, default=3, help="take the median of so many (3)")


def run(arguments: argparse.Namespace) -> int:
    """Publish over a real Redis, and print what that took."""
    with TemporaryDirectory() as directory:
        rounds = _measure(Path(directory), arguments.calls, arguments.repeat)
    rows = {
        ("tell a group of connections", what): {
            name: [values[column][what] for values in rounds]
            for column, name in enumerate((_COLLAB, _PEER))
        }
        for what in rounds[0][0]
    }
    lines = table(rows, [_COLLAB, _PEER], [_PEER])
    packages = ["channels", "channels-redis", "asgiref"]
    print("\n".join([*lines, "", circumstances(len(rounds), [f"collab {__version__}"], packages)]))
    return 0


def _measure(directory: Path, calls: int, repeat: int) -> list[list[dict[str, float]]]:
    database = f"sqlite://{directory}/bench.sqlite3"
    migrate(database)
    redis = Redis(directory)
    redis.start()
    try:
        server = Server(directory / "log", database, redis=redis.url)
        try:
            found = server.run_code(_PROGRAM % {"calls": calls, "repeat": repeat})
        finally:
            server.close()
    finally:
        redis.kill()
    rounds: list[list[dict[str, float]]] = json.loads(found)
    return rounds
