"""Work that takes long, in a process of its own.

pycrdt holds the interpreter's lock for as long as it works. Reading a document of many megabytes,
or of many thousand updates, would stop everything else in the process meanwhile, in whichever
thread it is done.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from asyncio import get_running_loop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryFile
from typing import Any, BinaryIO, TypeVar, cast

__all__ = ["answer", "apart"]

T = TypeVar("T")

#: What takes longer, in seconds, has failed.
_PATIENCE = 120
#: The process leaves the processor to those that serve.
_PROGRAM = """
import os, sys
os.nice(10)
from collab_storage.apart import answer
answer(sys.stdin.buffer, sys.stdout.buffer)
"""
#: Wait for the processes; so many run at a time.
_waiters = ThreadPoolExecutor(2, thread_name_prefix="collab-apart")


async def apart(function: Callable[..., T], *args: object) -> T:
    """Return what ``function`` returns, called in a process of its own.

    Function, arguments and result are pickled. What it raises is raised here, and what it logs is
    logged here.

    Raises:
        subprocess.SubprocessError: the process has failed.
    """
    return await get_running_loop().run_in_executor(_waiters, _ask, function, args)


def _ask(function: Callable[..., T], args: tuple[object, ...]) -> T:
    with TemporaryFile() as question, TemporaryFile() as reply:
        pickle.dump((function, args), question)
        question.seek(0)
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            stdin=question,
            stdout=reply,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=_PATIENCE,
            check=True,
        )
        reply.seek(0)
        result, error, records = pickle.load(reply)
    for record in records:
        logging.getLogger(record.name).handle(record)
    if error is not None:
        raise error
    return cast("T", result)


class _Keeper(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def answer(question: BinaryIO, reply: BinaryIO) -> None:
    """Read a function and its arguments, call it, and write what becomes of that."""
    function, args = pickle.load(question)
    keeper, log = _Keeper(), logging.getLogger("collab_storage")
    log.addHandler(keeper)
    result: Any = None
    error: Exception | None = None
    try:
        result = function(*args)
    except Exception as raised:
        error = raised
    finally:
        log.removeHandler(keeper)
    pickle.dump((result, error, keeper.records), reply)
