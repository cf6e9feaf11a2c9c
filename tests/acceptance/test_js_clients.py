"""JavaScript clients against a real server: our provider's tests, and those of stock clients.

Node's test runner runs the files; each gets a server of its own, and may have it killed.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.harness.fixtures import StartServer
from tests.harness.ports import ReservedPort
from tests.harness.server import Server
from tests.harness.waiting import DEADLINE

pytestmark = pytest.mark.client

ROOT = Path(__file__).parents[2]
FILES = sorted(
    str(path.relative_to(ROOT))
    for directory in ("client-js/test", "tests/js")
    for path in ROOT.joinpath(directory).glob("*.test.js")
)
#: The longest that the tests of one file may take, in seconds.
TIMEOUT = 10 * DEADLINE

Action = Callable[[], object]


class Control(HTTPServer):
    """Does to the server what the scripts POST the name of."""

    def __init__(self, actions: dict[str, Action]) -> None:
        super().__init__(("127.0.0.1", 0), ControlHandler)
        self.actions = actions

    @property
    def url(self) -> str:
        """Where the scripts reach it."""
        return f"http://127.0.0.1:{self.server_port}"


class ControlHandler(BaseHTTPRequestHandler):
    """Runs one action, and tells when it is done."""

    server: Control

    def do_POST(self) -> None:
        """Run the action that the path names."""
        self.server.actions[self.path.removeprefix("/")]()
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the output to the scripts."""


@pytest.fixture
def server(start_server: StartServer, sqlite_database: str) -> Server:
    """A server of the scripts' own application."""
    return start_server(sqlite_database, application="tests.client.app:application")


@pytest.fixture
def control(server: Server, sqlite_database: str) -> Iterator[Control]:
    """Lets the scripts kill and start the server, and lock its database."""
    path = sqlite_database.removeprefix("sqlite://")
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=DEADLINE
    )
    with closing(connection) as database:
        actions: dict[str, Action] = {
            "kill": server.kill,
            "stop": server.terminate,
            "start": server.start,
            "restart": server.restart,
            "lock": lambda: database.execute("BEGIN IMMEDIATE"),
            "unlock": database.rollback,
        }
        with Control(actions) as control:
            thread = Thread(target=control.serve_forever)
            thread.start()
            yield control
            control.shutdown()
            thread.join()


@pytest.mark.parametrize("file", FILES)
def test_scripts(file: str, server: Server, control: Control) -> None:
    with ReservedPort() as one, ReservedPort() as another:
        result = subprocess.run(
            ["node", "--test", "--test-reporter=spec", file],
            cwd=ROOT,
            env={
                **os.environ,
                "COLLAB_TEST_URL": f"ws://127.0.0.1:{server.port}",
                "COLLAB_TEST_CONTROL": control.url,
                # For servers that the scripts start, and start again.
                "COLLAB_TEST_PORTS": f"{one},{another}",
            },
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    assert result.returncode == 0, result.stdout + result.stderr
