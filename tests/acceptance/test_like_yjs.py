"""Two processes beside Yjs: a document opened at either has the content that Yjs makes (I14)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.services import Redis
from tests.harness.waiting import DEADLINE

from .attacks import UNLIMITED

ROOT = Path(__file__).parents[2]
#: Seeds of the histories; ``make fuzz-yjs`` tries more.
SEEDS = os.environ.get("FUZZ_SEEDS", "0:20")
SECONDS = os.environ.get("FUZZ_SECONDS", "300")

READ = """
import json, sys
from base64 import b64encode
from django.core.management import call_command
from collab import documents

names = [info.name for info in documents.list_documents("history-")]
before = {name: documents.read(name).get_update() for name in names}
call_command("collab_compact", "--all", verbosity=0)
after = {name: documents.read(name).get_update() for name in names}
print(json.dumps([{name: b64encode(of[name]).decode() for name in of} for of in (before, after)]))
"""


def compare(servers: list[Server], mode: str, file: Path, *arguments: str) -> None:
    urls = ",".join(server.url("").rstrip("/") for server in servers)
    result = subprocess.run(
        ["node", "tests/js/two-processes.js", mode, str(file), urls, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert '"bad":0' in result.stdout


@pytest.mark.client
@pytest.mark.redis
def test_whatever_clients_of_two_processes_do_both_have_what_yjs_has(
    start_server: StartServer, redis_server: Redis, tmp_path: Path
) -> None:
    limits = {**UNLIMITED, "SLEEP_DELAY": 0.05, "UNLOAD_DELAY": 0.2, "COMPACT_AFTER": 20}
    servers = [start_server(collab=limits, redis=redis_server.url) for _ in range(2)]
    file = tmp_path / "histories.json"
    compare(servers, "write", file, *SEEDS.split(":"), SECONDS)
    histories = json.loads(file.read_text())["histories"]
    assert histories
    # As a program reads them, before and after their logs are compacted.
    for reads in json.loads(servers[0].run_code(READ, within=DEADLINE + float(SECONDS))):
        file.write_text(json.dumps({"histories": histories, "reads": reads}))
        compare(servers, "check", file)
    for server in servers:
        server.restart()
    file.write_text(json.dumps({"histories": histories, "reads": reads}))
    compare(servers, "check", file)
