"""A server for measurements, and the processes that serve."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote

from bench.process import on_cores, process_tree
from bench.turns import Turn
from tests.harness.server import ROOT
from tests.harness.waiting import poll_until

__all__ = [
    "BUILD",
    "PEERS",
    "Addressed",
    "Contestant",
    "Program",
    "Running",
    "free_port",
    "make_venv",
    "running_process",
]

PEERS = ROOT / "bench" / "peers"
#: Where environments of the servers' own are made.
BUILD = ROOT / "build"

#: How long a server may take to end when it is asked to, in seconds.
_PATIENCE = 20.0


class Contestant(ABC):
    """A server that can be measured, and how its clients speak to it."""

    #: What it is called on the command line and in tables.
    name: str
    #: It is one that ours are compared with.
    is_peer = True
    #: The text frame after which it tells what is stored, if it does: see docs/client.md.
    hello: str | None = None
    #: It reports each update that is stored, without being asked to.
    reports_each = False
    #: A newcomer gets the document from it; if not, other members would have to send it.
    keeps_documents = True
    #: It has its documents again after it was started anew.
    is_stored = False
    #: Seconds after which it has stored what it puts off when it has nothing else to do.
    puts_off = 0.3
    #: A client's message that changes nothing, without what stands before it; a server that needs
    #: it disconnects clients that send nothing for a minute.
    sign_of_life: bytes | None = None

    @property
    def is_available(self) -> bool:
        """Return whether it can run on this machine."""
        return True

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

    @property
    def is_addressed(self) -> bool:
        """Return whether a connection may have many documents open."""
        return bool(self.prefix("room"))

    def greeting(self, room: str) -> Sequence[bytes]:
        """Return the messages that a client sends first."""
        return ()


class Addressed(Contestant):
    """A server whose messages are those of Hocuspocus.

    Its clients repeat their presence every 15 s, which is of nobody here.
    """

    reports_each = True
    sign_of_life = bytes([1, 1, 0])

    def prefix(self, room: str) -> bytes:
        return bytes([len(room)]) + room.encode()

    def greeting(self, room: str) -> Sequence[bytes]:
        auth, token, empty = 2, 0, 0
        return (bytes([auth, token, empty]),)


class Running:
    """A server process, with others that it may have started.

    Args:
        contestant: what runs.
        pid: of the process.
        port: on the loopback device.
        path: what the URL's path begins with; a room's name follows.
        restart: ends it properly, starts it on the same port with what it has stored, and
            returns the new process id.
        store: the directory that its documents are in, if it stores them.
        database: returns the ids of the processes of its database, if that has any.
        run_code: runs Python in a process of its project, and returns what that has printed.
    """

    def __init__(
        self,
        contestant: Contestant,
        pid: int,
        port: int,
        path: str = "/",
        *,
        restart: Callable[[], int] | None = None,
        store: Path | None = None,
        database: Callable[[], list[int]] | None = None,
        run_code: Callable[[str], str] | None = None,
    ) -> None:
        self.contestant = contestant
        self.pid = pid
        self.port = port
        self.store = store
        #: When it may be measured, if there are others.
        self.turn = Turn()
        self._path = path
        self._restart = restart
        self._database = database
        self._run_code = run_code

    @property
    def pids(self) -> list[int]:
        """All its processes, as of now, those of a database not among them."""
        return process_tree(self.pid)

    @property
    def database_pids(self) -> list[int]:
        """The processes of its database, as of now; none if it is a library in the server's."""
        return [] if self._database is None else self._database()

    def path(self, room: str) -> str:
        """Return the URL's path for a room."""
        return self._path + quote(room, safe="")

    def restart(self) -> None:
        """End it as its operator would, and start it again; this blocks for a moment."""
        if self._restart is None:
            raise ValueError(f"{self.contestant.name} is not started again.")
        self.pid = self._restart()

    def run_code(self, source: str) -> str:
        """Run Python in a process of its own beside the server's, and return what it prints."""
        if self._run_code is None:
            raise ValueError(f"{self.contestant.name} is no project of ours.")
        return self._run_code(source)


class Program:
    """A command that listens on a port, which may be started again.

    Args:
        command: its arguments.
        port: on the loopback device.
        environment: variables beside those of this process.
    """

    def __init__(
        self, command: Sequence[str], port: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self._command = command
        # A restart may be requested by a thread of the load generator, which has other cores.
        self._cores = frozenset(os.sched_getaffinity(0))
        self._environment = {**os.environ, "NODE_ENV": "production", **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Start it; return its process id once it listens."""
        with on_cores(self._cores):
            process = self._process = subprocess.Popen(
                self._command, env=self._environment, cwd=ROOT, stdout=subprocess.DEVNULL
            )
        poll_until(lambda: process.poll() is not None or _listens(self.port))
        if process.returncode is not None:
            raise RuntimeError(f"{self._command[0]} ended at once.")
        return process.pid

    def restart(self) -> int:
        """Ask it to end, wait for that, and start it again; return its new process id."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(_PATIENCE)
        return self.start()

    def kill(self) -> None:
        """End it and all that it has started, at once."""
        if self._process is not None and self._process.poll() is None:
            for pid in process_tree(self._process.pid):
                os.kill(pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def running_process(
    command: Sequence[str], port: int, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run ``command`` until the block ends; yield its process id once it listens on ``port``."""
    program = Program(command, port, environment)
    try:
        yield program.start()
    finally:
        # It keeps nothing that could be lost.
        program.kill()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a port of the loopback device that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def make_venv(directory: Path, requirements: Sequence[str], beside: Path | None = None) -> Path:
    """Make an environment with these packages, unless that is there; return its interpreter.

    Args:
        directory: where.
        requirements: as pip takes them.
        beside: a directory of packages that it has, too.
    """
    python, stamp = directory / "bin" / "python", directory / ".installed"
    if not stamp.exists() or stamp.read_text().splitlines() != [*requirements]:
        # Without pip, for Debian's venv has none to give: the one that runs here does it.
        create = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(directory)]
        subprocess.run(create, check=True)
        if beside is not None:
            (packages,) = directory.glob("lib/python*/site-packages")
            (packages / "beside.pth").write_text(f"{beside}\n")
        pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(python)]
        subprocess.run([*pip, "install", *requirements], check=True)
        stamp.write_text("\n".join(requirements))
    return python
