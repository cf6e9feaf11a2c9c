"""The short form of ``make soak``."""

from __future__ import annotations

import os

from tests.harness.fixtures import StartServer
from tests.harness.services import Postgres, Redis

from .soak import Soak, SoakSize

#: Relay intervals that repair within a test's patience.
QUICK = {
    "RELAY": {"digest": 2, "timeout": 1, "peer": 6},
    "RELAY_STORAGE_INTERVAL": 2,
    "DRAIN_TIME": 0.5,
    "CLOSE_TIMEOUT": 3,
    "UNLOAD_DELAY": 2,
    "COMPACT_AFTER": 50,
}
#: What a server logs when what it needs is away.
FAULTS = "could not be|cannot be|channels_redis|channel layer|redis|Exception in ASGI"


async def test_all_are_equal_after_faults_of_every_kind(
    redis_server: Redis,
    postgres_server: Postgres,
    postgres_database: str,
    start_server: StartServer,
    tmp_path: object,
) -> None:
    settings = {**QUICK, "SPOOL_DIRECTORY": f"{tmp_path}/spool"}
    servers = [
        start_server(postgres_database, redis=redis_server.url, collab=settings) for _ in range(3)
    ]
    for server in servers:
        server.allow_errors(FAULTS)
    size = SoakSize(
        clients=int(os.environ.get("SOAK_CLIENTS", "16")),
        rooms=int(os.environ.get("SOAK_ROOMS", "5")),
        seconds=float(os.environ.get("SOAK_SECONDS", "20")),
        seed=int(os.environ.get("SOAK_SEED", "0")),
    )
    await Soak(servers, postgres_server, redis_server, size).run()
