"""The servers that run on Node.js."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from json import loads
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.harness.server import ROOT

from .base import PEERS, Addressed, Contestant, Program, Running, free_port

__all__ = ["Hocuspocus", "NodePeer", "node_version"]

_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}
#: A package of npm that is nothing but the program, so that its release is locked, too.
_NODE = f"node-linux-{_ARCHITECTURES.get(platform.machine(), platform.machine())}"


def _install(directory: Path) -> None:
    """Fetch the locked packages of ``directory``, unless they are there."""
    stamp = directory / "node_modules" / ".installed"
    lock = directory / "package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        # What npm says is no part of the table that goes to standard output.
        setup = [ROOT / "scripts" / "setup-node", directory]
        subprocess.run(setup, check=True, stdout=sys.stderr)
        stamp.touch()


def _release(directory: Path, package: str) -> str:
    described = loads((directory / "node_modules" / package / "package.json").read_text())
    release: str = described["version"]
    return release


def node_version() -> str:
    """Return the release of Node.js that they run on."""
    _install(PEERS / "node")
    return _release(PEERS / "node", _NODE)


class NodePeer(Contestant):
    """A package of npm, locked in a directory of ``peers``, on the Node.js that is locked there.

    Args:
        name: what tables call it.
        directory: of ``peers``.
        package: whose release is told.
        script: what is run, in the directory.
        store: the variable that names where documents go; by default it stores none.
    """

    def __init__(
        self, name: str, directory: str, package: str, script: str, store: str | None = None
    ) -> None:
        self.name = name
        self.is_stored = store is not None
        self._directory = PEERS / directory
        self._package = package
        self._script = script
        self._store = store

    def install(self) -> None:
        _install(PEERS / "node")
        _install(self._directory)

    def version(self) -> str:
        return _release(self._directory, self._package)

    @contextmanager
    def run(self) -> Iterator[Running]:
        with TemporaryDirectory() as directory:
            program = self._program(Path(directory))
            try:
                pid = program.start()
                store = Path(directory) if self._store else None
                yield Running(self, pid, program.port, restart=program.restart, store=store)
            finally:
                program.kill()

    def _program(self, store: Path) -> Program:
        node = PEERS / "node" / "node_modules" / _NODE / "bin" / "node"
        port = free_port()
        address = {"HOST": "127.0.0.1", "PORT": str(port)}
        stored: Mapping[str, str] = {self._store: str(store / "documents")} if self._store else {}
        return Program(
            [str(node), str(self._directory / self._script)], port, {**address, **stored}
        )


class Hocuspocus(Addressed, NodePeer):
    """Its messages begin with the document's name, and it wants to hear a token first.

    If it stores, it does so 2 s after the last change of a document, or 10 s after the first one.
    """

    def __init__(
        self, name: str, directory: str, package: str, script: str, store: str | None = None
    ) -> None:
        super().__init__(name, directory, package, script, store)
        if store is not None:
            self.puts_off = 3.0
