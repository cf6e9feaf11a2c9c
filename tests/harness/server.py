"""The product served by uvicorn in a process of its own, which tests may kill and start again."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from .client import YjsClient
from .waiting import DEADLINE, poll_until

__all__ = ["NO_PINGS", "Server"]

#: Environment of a server whose clients may read nothing for longer than its keepalive allows: they
#: answer no ping, and their connections would end without a word.
NO_PINGS = {"COLLAB_TEST_PING_INTERVAL": "1000"}

ROOT = Path(__file__).parents[2]
RECORD = re.compile(r"^(?=(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) )", re.MULTILINE)
ERROR = re.compile(r"\A(?:ERROR|CRITICAL) |^Traceback |^Exception ignored ", re.MULTILINE)


class Server:
    """A server that is started, ended and started again at one address and on one database.

    Its methods block for a moment. A test whose clients must go on meanwhile calls them through
    ``asyncio.to_thread``.

    Args:
        log: the file that takes its output.
        database: URL of a migrated database.
        collab: its setting ``COLLAB``.
        redis: URL of the Redis that carries its channel layer; in memory by default.
        application: dotted path of the ASGI application, a colon before the last name.
        environment: further variables.
        root: of the project whose code it runs: this one, or a copy.
    """

    def __init__(
        self,
        log: Path,
        database: str,
        *,
        collab: Mapping[str, Any] | None = None,
        redis: str | None = None,
        application: str = "tests.harness.app:application",
        environment: Mapping[str, str] | None = None,
        root: Path = ROOT,
    ) -> None:
        self._root = root
        self.log_file = log
        #: Of its processes.
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": f"{root}{os.pathsep}{root / 'storage'}",
            "COLLAB_TEST_APPLICATION": application,
            "COLLAB_TEST_DATABASE": database,
            "COLLAB_TEST_SETTINGS": json.dumps(
                # What a server leaves for its next start is not for servers of other tests.
                {"SPOOL_DIRECTORY": str(log.parent / "spool"), **(collab or {})}
            ),
            **({} if redis is None else {"COLLAB_TEST_REDIS": redis}),
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._allowed: list[re.Pattern[str]] = []
        # Bound but not listening: the port stays ours while no server runs, and refuses clients.
        self._reservation = _bound_socket(0)
        self.port: int = self._reservation.getsockname()[1]

    # Addresses

    def url(self, room: str, route: str = "ws", **query: str) -> str:
        """Return the websocket URL of ``room`` on one of the routes of :mod:`tests.harness.app`."""
        address = f"ws://127.0.0.1:{self.port}/{route}/{quote(room, safe='')}"
        return f"{address}?{urlencode(query)}" if query else address

    def client(self, room: str, route: str = "ws", /, **query: str) -> YjsClient:
        """Return a client of ``room`` that is not yet connected."""
        return YjsClient(self.url(room, route, **query))

    # Life

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of the last start."""
        assert self._process is not None, "start() first"
        return self._process

    @property
    def running(self) -> bool:
        """It has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert not self.running
        # Clients that connect from now on wait until the process answers.
        with _bound_socket(self.port) as listener, self.log_file.open("ab") as log:
            listener.listen(1024)
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "error",
                    "-m",
                    "tests.harness.serve",
                    str(listener.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._root,
                env=self.environment,
                pass_fds=[listener.fileno()],
            )
        self._wait_ready()

    def _wait_ready(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            raise RuntimeError(f"the server did not start:\n{self.log}") from error
        finally:
            connection.close()

    def terminate(self) -> None:
        """Ask it to end properly and wait for that; does nothing if it is down."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, with no time to put anything in order."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Terminate it and start it again."""
        self.terminate()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self.running:
            self.process.send_signal(how)
            self.process.wait(DEADLINE)

    def pause(self) -> None:
        """Stop the process without ending it: it accepts connections and answers none."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue it after ``pause``."""
        self.process.send_signal(signal.SIGCONT)

    # Other processes of the project

    def run_code(self, source: str, *, within: float = DEADLINE) -> str:
        """Run Python code in a process of its own, as a worker of the project would."""
        prelude = "import django; django.setup(set_prefix=False)\n"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", prelude + textwrap.dedent(source)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self._root,
            env=self.environment,
            timeout=within,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # Log

    @property
    def log(self) -> str:
        """All that it has written, over all its starts."""
        return self.log_file.read_text()

    def wait_for_log(self, pattern: str) -> None:
        """Wait until something in the log matches."""
        expression = re.compile(pattern)
        poll_until(lambda: expression.search(self.log))

    def allow_errors(self, pattern: str) -> None:
        """Do not take log records that match ``pattern`` for errors."""
        self._allowed.append(re.compile(pattern))

    @property
    def errors(self) -> list[str]:
        """The records of the log that no healthy server writes."""
        return [
            record
            for record in RECORD.split(self.log)
            if ERROR.search(record) and not any(allowed.search(record) for allowed in self._allowed)
        ]

    def close(self) -> None:
        """End it for good.

        Raises:
            AssertionError: there are errors in its log, or it does not end when it is asked to.
        """
        try:
            if self.running:
                self.resume()
                self.terminate()
        finally:
            self.kill()
            self._reservation.close()
        assert not self.errors, "\n".join(self.errors)


def _bound_socket(port: int) -> socket.socket:
    sock = socket.socket()
    # The reservation and the server's socket share the port.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock
