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

logger = logging.getLogger(__name__)

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
    logged here. Where there can be no such process, as where ``sys.executable`` is no Python, it is
    called in this one, and a warning says so.

    Raises:
        subprocess.SubprocessError: the process took too long, or has been killed.
    """
    return await get_running_loop().run_in_executor(_waiters, _ask, function, args)


def _ask(function: Callable[..., T], args: tuple[object, ...]) -> T:
    try:
        result, error, records = _answered(function, args)
    except (OSError, EOFError, pickle.UnpicklingError, subprocess.CalledProcessError) as failure:
        if getattr(failure, "returncode", 0) < 0:
            # What has killed that one, as a lack of memory does, is not to kill this one.
            raise
        logger.warning(
            "A large document is read in the process that serves, which stands still meanwhile: "
            "%s has not run as a Python of its own.",
            sys.executable,
            exc_info=True,
        )
        return function(*args)
    for record in records:
        logging.getLogger(record.name).handle(record)
    if error is not None:
        raise error
    return cast("T", result)


def _answered(function: Callable[..., Any], args: tuple[object, ...]) -> Any:
    """Return what :func:`answer` writes in another process."""
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
        return pickle.load(reply)


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
