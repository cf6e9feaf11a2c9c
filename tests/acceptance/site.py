"""The example, served as ``make run`` serves it, and reached through a line that may be cut."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread
from typing import Self

from tests.harness.ports import ReservedPort
from tests.harness.waiting import DEADLINE, poll_until

__all__ = ["EXAMPLE", "Line", "Site"]

EXAMPLE = Path(__file__).parents[2] / "example"
#: The longest delay of what goes through a line, in milliseconds; each piece has one of its own.
LAG = float(os.environ.get("COLLAB_TEST_LAG", "0"))
ADDRESS = re.compile(r"http://localhost:\d+/")


class Site:
    """The example project in a process of its own; it keeps its port over restarts.

    Args:
        directory: takes its database and its log.
    """

    def __init__(self, directory: Path) -> None:
        # It stays the site's while no process runs.
        self._reservation = ReservedPort()
        self.port = self._reservation.number
        self._log = directory / "site.log"
        self.database = directory / "site.sqlite3"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def _environment(self) -> dict[str, str]:
        return {**_without_test_settings(), "DATABASE": str(self.database)}

    @property
    def log(self) -> str:
        """All that it has written."""
        return self._log.read_text()

    def start(self) -> None:
        """Start it and wait for the address that it prints."""
        welcomes = len(ADDRESS.findall(self.log)) if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "serve.py"],
                cwd=EXAMPLE,
                env={**self._environment, "PORT": str(self.port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        process = self._process
        poll_until(lambda: len(ADDRESS.findall(self.log)) > welcomes or process.poll() is not None)
        assert process.poll() is None, self.log

    def run(self, code: str) -> str:
        """Run Python code in the project, and return what it prints."""
        command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
        environment = self._environment
        return subprocess.check_output(command, cwd=EXAMPLE, env=environment, text=True)

    def stored_bytes(self, name: str) -> bytes:
        """Return the bytes of a document, as they are in the database."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            rows = database.execute(
                "SELECT coalesce(snapshot, x'') FROM collab_storage_document WHERE name = ?"
                " UNION ALL SELECT log.data FROM collab_storage_update AS log"
                " JOIN collab_storage_document AS document ON document.id = log.document_id"
                " WHERE document.name = ?",
                (name, name),
            )
            return b"".join(bytes(row[0]) for row in rows)

    def kill(self) -> None:
        """End it at once, with no time to put anything in order."""
        self._end(signal.SIGKILL)

    def interrupt(self) -> int | None:
        """End it as Ctrl+C does, and return its exit code."""
        return self._end(signal.SIGINT)

    def close(self) -> None:
        """End it properly.

        Raises:
            AssertionError: it has logged errors.
        """
        self._end(signal.SIGTERM)
        self._reservation.close()
        assert "Traceback" not in self.log, self.log
        assert "Warning" not in self.log, self.log

    def _end(self, how: signal.Signals) -> int | None:
        if self._process is None:
            return None
        self._process.send_signal(how)
        return self._process.wait(DEADLINE)


def _without_test_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}


class Line:
    """A TCP port that leads to another one as long as it is not cut.

    Browsers' own offline mode leaves open websockets alone.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._is_cut = False
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._acceptor = Thread(target=self._accept)
        self._pumps: list[Thread] = []

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        self.cut()
        for pump in self._pumps:
            pump.join()
        for sock in self._sockets:
            sock.close()

    @property
    def url(self) -> str:
        """The site's address at this end."""
        return f"http://localhost:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """End all connections, and let no new one through."""
        self._is_cut = True
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Accept connections again."""
        self._is_cut = False

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                near.close()
            else:
                self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        self._sockets += [near, far]
        for source, sink in ((near, far), (far, near)):
            pump = Thread(target=_pump, args=(source, sink))
            self._pumps.append(pump)
            pump.start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            # The network that the test asks for takes this long.
            time.sleep(random.uniform(0, LAG / 1000))
            sink.sendall(data)
    # The other direction ends with this one.
    for sock in (source, sink):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
