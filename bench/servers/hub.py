"""A bare hub in C, which no server that delivers updates one by one can be faster than."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.server import ROOT

from .base import BUILD, Contestant, Program, Running, free_port

__all__ = ["BareHub"]

_SOURCE = ROOT / "bench" / "hub" / "hub.c"
_PROGRAM = BUILD / "bench-hub"


class BareHub(Contestant):
    """Writes each update to the other members of the room, and does nothing else.

    It is no peer: it has no documents.
    """

    name = "bare-hub"
    is_peer = False
    keeps_documents = False

    @property
    def is_available(self) -> bool:
        return shutil.which("cc") is not None

    def install(self) -> None:
        if _PROGRAM.exists() and _PROGRAM.stat().st_mtime > _SOURCE.stat().st_mtime:
            return
        BUILD.mkdir(exist_ok=True)
        compiling = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(_PROGRAM), str(_SOURCE)]
        subprocess.run(compiling, check=True)

    def version(self) -> str:
        return subprocess.check_output(["cc", "-dumpfullversion"], text=True).strip()

    @contextmanager
    def run(self) -> Iterator[Running]:
        port = free_port()
        program = Program([str(_PROGRAM), str(port)], port)
        try:
            yield Running(self, program.start(), port, restart=program.restart)
        finally:
            program.kill()
