"""PostgreSQL and Redis of the tests' own, which tests may stop, kill and start again.

They listen on sockets in this run's directory: no port can be taken, no other machine can reach
them, and an address stays the same however often its server is started.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from tests import settings

from .waiting import DEADLINE, poll_until

__all__ = ["Postgres", "Redis", "Service", "postgres_server", "redis_server"]

#: Who runs PostgreSQL when the tests run as root, which it refuses to serve.
UNPRIVILEGED = "nobody"
#: PostgreSQL's names for the ways to end it.
STOP_SIGNALS = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}


def find_program(name: str) -> str:
    """Return the path of a program of PostgreSQL or Redis; fail the test if there is none."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in [None, *places]:
        if found := shutil.which(name, path=place):
            return found
    pytest.fail(
        f"{name} is not installed: run `make services-setup`,"
        " or leave its tests out with: pytest -m 'not (postgres or redis)'"
    )


class Service(ABC):
    """A server process; ``directory`` is its own and must exist."""

    def __init__(self, directory: Path, user: str | None = None) -> None:
        self.directory = directory
        self.log = directory / "log"
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients reach it."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _ready(self) -> bool: ...

    @property
    def running(self) -> bool:
        """It has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process of the last start."""
        assert self._process is not None, "start() first"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers; does nothing if it runs."""
        if self.running:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                user=self._user,
                # A Ctrl-C is for the tests, which end it in their own time.
                start_new_session=True,
            )
        poll_until(lambda: not self.running or self._ready())
        if not self.running:
            raise RuntimeError(f"{self._command()[0]} did not start:\n{self.log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end with the signal ``how`` and wait for that; does nothing if it is down."""
        if self._process is not None and self.running:
            self._process.send_signal(how)
            self._process.wait(DEADLINE)

    def kill(self) -> None:
        """End it at once, with no time to put anything in order."""
        self.stop(signal.SIGKILL)

    def pause(self) -> None:
        """Stop the process without ending it: it accepts connections and answers none."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue it after ``pause``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class Redis(Service):
    """A Redis server that keeps nothing on disk."""

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def _socket(self) -> Path:
        return self.directory / "socket"

    def _command(self) -> list[str]:
        program = find_program("redis-server")
        return [program, "--port", "0", "--unixsocket", str(self._socket), "--save", ""]

    def _ready(self) -> bool:
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
            except OSError:
                return False


class Postgres(Service):
    """A PostgreSQL cluster whose superuser is ``collab``, without a password."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, UNPRIVILEGED if os.geteuid() == 0 else None)

    @property
    def url(self) -> str:
        return self.database_url("collab")

    def database_url(self, name: str) -> str:
        """Return the URL of the database ``name`` of this cluster."""
        return f"postgresql:///{name}?user=collab&host={self.directory}"

    def initialize(self) -> None:
        """Make the cluster; it is not started."""
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        command = [
            find_program("initdb"),
            f"--pgdata={self._data}",
            "--username=collab",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        result = subprocess.run(
            command, user=self._user, cwd=self.directory, capture_output=True, text=True
        )
        if result.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{result.stderr}")

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make the database ``name``, a copy of ``template``, and return its URL."""
        with closing(psycopg.connect(self.database_url("postgres"), autocommit=True)) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return self.database_url(name)

    def stop(
        self,
        how: signal.Signals | Literal["smart", "fast", "immediate"] = "fast",
    ) -> None:
        """Stop it; ``fast`` throws the clients out, ``smart`` waits until they leave."""
        super().stop(STOP_SIGNALS[how] if isinstance(how, str) else how)

    def kill(self) -> None:
        """Kill it and the processes that serve its clients, all at once."""
        if not self.running:
            return
        # Stopped, it can start no others meanwhile.
        self.pause()
        children = [os.pidfd_open(pid) for pid in self._children()]
        for child in children:
            signal.pidfd_send_signal(child, signal.SIGKILL)
        super().kill()
        for child in children:
            # Until the last of them is gone, the cluster cannot be started again.
            assert select.select([child], [], [], DEADLINE)[0], "a killed process lives on"
            os.close(child)

    def _children(self) -> list[int]:
        tasks = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(child) for child in tasks.read_text().split()]

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _command(self) -> list[str]:
        given = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "max_connections": "200",
            # The machine does not crash, only this server does: what the kernel has is kept.
            "fsync": "off",
            # Little is to be done again when it starts after a kill, though each test makes a
            # database, which is written to the log as a whole.
            "max_wal_size": "64MB",
        }
        options = [
            argument for key, value in given.items() for argument in ("-c", f"{key}={value}")
        ]
        return [find_program("postgres"), "-D", str(self._data), *options]

    def _ready(self) -> bool:
        try:
            psycopg.connect(self.database_url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Postgres]:
    """The cluster of the run; tests that stop it ask for ``postgres_server``."""
    directory = settings.DIRECTORY / "postgres"
    directory.mkdir()
    cluster = Postgres(directory)
    cluster.initialize()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def redis_process() -> Iterator[Redis]:
    """The Redis of the run; tests that stop it ask for ``redis_server``."""
    directory = settings.DIRECTORY / "redis"
    directory.mkdir()
    server = Redis(directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_server(postgres_cluster: Postgres) -> Iterator[Postgres]:
    """A running PostgreSQL, which is started again after a test that ended it."""
    postgres_cluster.start()
    yield postgres_cluster
    postgres_cluster.resume()
    postgres_cluster.start()


@pytest.fixture
def redis_server(redis_process: Redis) -> Iterator[Redis]:
    """A running, empty Redis, which is started again after a test that ended it."""
    redis_process.start()
    yield redis_process
    redis_process.kill()
    redis_process.start()
