"""The benchmark commands work; what they measure is for people to judge."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import pytest

from bench.make_trace import SMALL, make_trace
from bench.scenarios import SCENARIOS
from bench.trace import replay
from bench.trace_file import Patch, Trace, in_bytes, load
from tests.harness.server import ROOT, Server

pytestmark = pytest.mark.client

#: Scenarios: the first of each family.
ONE_OF_EACH = [
    next(each.name for each in group) for _, group in groupby(SCENARIOS, attrgetter("family"))
]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a developer does."""
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_shipped_trace_is_the_generated_one() -> None:
    assert load(SMALL) == make_trace()


def test_positions_count_code_points() -> None:
    transactions = [[Patch(1, 0, "é")], [Patch(2, 1, "")], [Patch(0, 1, "👍🏽"), Patch(2, 1, "x")]]
    trace = Trace("😀😀", "👍🏽x", transactions)
    assert trace.replay() == trace.end
    assert list(in_bytes(trace)) == [
        [Patch(4, 0, "é")],
        [Patch(6, 4, "")],
        [Patch(0, 4, "👍🏽"), Patch(8, 2, "x")],
    ]


def test_trace_is_replayed_and_stored() -> None:
    done = bench("trace", "--limit", "1500")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal: all 3 clients and the stored document" in done.stdout


async def test_difference_is_found(server: Server) -> None:
    trace = Trace("", "Right!", [[Patch(0, 0, "Wrong!")]])
    differences = await replay(trace, server.url("trace"), 2, server)
    assert [line.partition(":")[0] for line in differences] == [
        "client 1",
        "client 2",
        "the stored document",
    ]
    assert "from letter 0 on 'Wrong!' instead of 'Right!'" in differences[0]


def test_plain_file_is_typed_into_a_running_server(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    txns = [{"patches": [[1, 1, "é"]]}, {"patches": [[2, 0, "!"], [0, 1, ""]]}]
    file.write_text(json.dumps({"startContent": "👋 b", "endContent": "é!b", "txns": txns}))
    done = bench("trace", str(file), "--clients", "2", "--url", server.url("trace"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal: all 2 clients and a newcomer, 3 letters" in done.stdout


def test_file_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    file.write_text(json.dumps({"startContent": "a", "endContent": "b", "txns": []}))
    done = bench("trace", str(file))
    assert (done.returncode, done.stdout) == (2, "")


async def test_used_document_is_refused(server: Server) -> None:
    async with server.client("trace") as client:
        await client.insert("old")
    done = bench("trace", "--url", server.url("trace"))
    assert (done.returncode, done.stderr) == (2, "The document is not new.\n")


def test_servers_are_compared(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    options = ["--scale", "0.01", "--repeat", "1", "--servers", "collab-pure", "y-websocket-server"]
    done = bench("compare", *ONE_OF_EACH, *options, "--out", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    head, _, *rows = done.stdout.splitlines()
    assert head == "|  |  | collab-pure | y-websocket-server |"
    assert "y-websocket-server 0.1.5" in rows[-1]
    assert bench("report", str(file)).stdout == done.stdout
    assert {plot.name for plot in (tmp_path / "plots").iterdir()} == {
        "compared.png",
        "compared.svg",
    }
