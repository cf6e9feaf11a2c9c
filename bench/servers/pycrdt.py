"""The servers of pycrdt-websocket: a server, and a consumer for Channels."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from .base import BUILD, PEERS, Contestant, Program, Running, free_port, make_venv

__all__ = ["PycrdtWebsocket"]

_PROJECT = PEERS / "pycrdt-websocket"
_VENV = BUILD / "bench-venv"
_PYTHON = str(_VENV / "bin" / "python")


class PycrdtWebsocket(Contestant):
    """An application of pycrdt-websocket, on the same ASGI server as ours.

    Args:
        name: what tables call it.
        application: module of its project.
        keeps_documents: a newcomer gets the document from it.
    """

    def __init__(self, name: str, application: str, *, keeps_documents: bool) -> None:
        self.name = name
        self.keeps_documents = keeps_documents
        self._application = application

    def install(self) -> None:
        make_venv(_VENV, (_PROJECT / "requirements.txt").read_text().splitlines())

    def version(self) -> str:
        code = "from importlib.metadata import version; print(version('pycrdt-websocket'))"
        return subprocess.check_output([_PYTHON, "-c", code], text=True).strip()

    @contextmanager
    def run(self) -> Iterator[Running]:
        program = self._program()
        try:
            yield Running(self, program.start(), program.port, restart=program.restart)
        finally:
            program.kill()

    def _program(self) -> Program:
        port = free_port()
        command = [
            *(_PYTHON, "-m", "uvicorn", f"{self._application}:application"),
            *("--app-dir", str(_PROJECT), "--port", str(port), "--log-level", "warning"),
            *("--ws", "websockets-sansio"),
        ]
        return Program(command, port)
