"""The servers that are compared, each in a process of its own on the loopback device."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from json import loads
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from collab import __version__
from tests.harness.fixtures import migrate
from tests.harness.server import ROOT, Server
from tests.harness.services import poll_until

__all__ = [
    "CONTESTANTS",
    "PEERS",
    "REFERENCE",
    "UNLIMITED",
    "Contestant",
    "Running",
    "collab_server",
    "free_port",
    "make_venv",
    "running_process",
]

PEERS = ROOT / "bench" / "peers"
VENV = ROOT / "build" / "bench-venv"

#: A load generator sends faster than the server lets anybody by default.
UNLIMITED = {
    "MAX_ADDRESS_CONNECTIONS": 10**6,
    "MAX_ADDRESS_JOINS": 10**9,
    "MESSAGE_RATE": 1e9,
    "MESSAGE_BURST": 10**9,
    "BYTE_RATE": 1e12,
    "BYTE_BURST": 10**12,
}


class Contestant(ABC):
    """A server that can be measured, and how its clients speak to it."""

    #: What it is called on the command line and in tables.
    name: str

    def install(self) -> None:
        """Fetch what it needs, unless that is there already."""
        return None

    @abstractmethod
    def version(self) -> str:
        """Return which release is measured."""

    @abstractmethod
    def run(self) -> AbstractContextManager[Running]:
        """Run it, without any document, as long as the context is open."""

    def prefix(self, room: str) -> bytes:
        """Return what stands before each message."""
        return b""

    def greeting(self, room: str) -> Sequence[bytes]:
        """Return the messages that a client sends first."""
        return ()


class Running:
    """A process that serves."""

    def __init__(self, contestant: Contestant, pid: int, port: int, path: str = "/") -> None:
        self.contestant = contestant
        self.pid = pid
        self.port = port
        self._path = path

    def path(self, room: str) -> str:
        """Return the URL's path for a room."""
        return self._path + quote(room, safe="")


# Ours.


@contextmanager
def collab_server() -> Iterator[Server]:
    """Run ours, on a new SQLite database."""
    with TemporaryDirectory() as directory:
        database = f"sqlite://{directory}/bench.sqlite3"
        migrate(database)
        # None of the others writes a line for each connection.
        quiet = {"COLLAB_TEST_LOG_LEVEL": "WARNING"}
        log = Path(directory) / "server.log"
        server = Server(log, database, collab=UNLIMITED, environment=quiet)
        try:
            server.start()
            yield server
        finally:
            server.close()


class Collab(Contestant):
    """This project."""

    def __init__(self, name: str, route: str) -> None:
        self.name = name
        self._route = route

    def version(self) -> str:
        return __version__

    @contextmanager
    def run(self) -> Iterator[Running]:
        with collab_server() as server:
            yield Running(self, server.process.pid, server.port, f"/{self._route}/")


# Others.


@contextmanager
def running_process(
    command: Sequence[str], port: int, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run ``command`` until the block ends; yield its process id once it listens on ``port``."""
    process = subprocess.Popen(
        command,
        env={**os.environ, "NODE_ENV": "production", **(environment or {})},
        stdout=subprocess.DEVNULL,
    )
    try:
        poll_until(lambda: process.poll() is not None or _listens(port))
        if process.returncode is not None:
            raise RuntimeError(f"{command[0]} ended at once.")
        yield process.pid
    finally:
        # It keeps nothing that could be lost.
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class NodePeer(Contestant):
    """A package of npm, locked in a directory of ``peers``."""

    def __init__(self, name: str, package: str, script: str) -> None:
        self.name = name
        self._directory = PEERS / name
        self._package = package
        self._script = script

    def install(self) -> None:
        stamp = self._directory / "node_modules" / ".installed"
        lock = self._directory / "package-lock.json"
        if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
            # What npm says is no part of the table that goes to standard output.
            setup = [ROOT / "scripts" / "setup-node", self._directory]
            subprocess.run(setup, check=True, stdout=sys.stderr)
            stamp.touch()

    def version(self) -> str:
        package = self._directory / "node_modules" / self._package / "package.json"
        found: str = loads(package.read_text())["version"]
        return found

    @contextmanager
    def run(self) -> Iterator[Running]:
        port = free_port()
        command = ["node", str(self._directory / self._script)]
        with running_process(command, port, {"HOST": "127.0.0.1", "PORT": str(port)}) as pid:
            yield Running(self, pid, port)


class Hocuspocus(NodePeer):
    """Its messages begin with the document's name, and it wants to hear a token first."""

    def prefix(self, room: str) -> bytes:
        return bytes([len(room)]) + room.encode()

    def greeting(self, room: str) -> Sequence[bytes]:
        auth, token, empty = 2, 0, 0
        return (bytes([auth, token, empty]),)


def make_venv(directory: Path, requirements: Sequence[str]) -> Path:
    """Make an environment with these packages, unless that is there; return its interpreter."""
    python, stamp = directory / "bin" / "python", directory / ".installed"
    if not stamp.exists() or stamp.read_text().splitlines() != [*requirements]:
        # Without pip, for Debian's venv has none to give: the one that runs here does it.
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(python)]
        subprocess.run([*pip, "install", *requirements], check=True)
        stamp.write_text("\n".join(requirements))
    return python


class PycrdtWebsocket(Contestant):
    """The other one in Python, on the same ASGI server as ours."""

    name = "pycrdt-websocket"

    def install(self) -> None:
        lines = (ROOT / "bench" / "requirements.txt").read_text().splitlines()
        make_venv(VENV, [line for line in lines if not line.startswith("#")])

    def version(self) -> str:
        code = "from importlib.metadata import version; print(version('pycrdt-websocket'))"
        return subprocess.check_output([VENV / "bin" / "python", "-c", code], text=True).strip()

    @contextmanager
    def run(self) -> Iterator[Running]:
        port = free_port()
        command = [
            *(str(VENV / "bin" / "python"), "-m", "uvicorn", "application:application"),
            *("--app-dir", str(PEERS / self.name), "--port", str(port), "--log-level", "warning"),
            *("--ws", "websockets-sansio"),
        ]
        with running_process(command, port) as pid:
            yield Running(self, pid, port)


#: What the others are compared with.
REFERENCE = "y-websocket-server"

CONTESTANTS: dict[str, Contestant] = {
    contestant.name: contestant
    for contestant in (
        Collab("collab", "ws"),
        Collab("collab-memory", "unstored"),
        NodePeer(
            REFERENCE, "@y/websocket-server", "node_modules/@y/websocket-server/src/server.js"
        ),
        Hocuspocus("hocuspocus", "@hocuspocus/server", "server.js"),
        PycrdtWebsocket(),
    )
}
