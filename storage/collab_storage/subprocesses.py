"""Runs long work in a process of its own.

pycrdt holds the interpreter's lock for as long as it works. Reading a document of many megabytes,
or of many thousand updates, would block the whole process meanwhile, whichever thread does it.
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
from logging.handlers import BufferingHandler
from tempfile import TemporaryFile
from typing import Any, BinaryIO, TypeVar, cast

__all__ = ["LARGE", "ProcessQueue", "answer", "run_in_process", "run_job", "run_patiently"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Bytes of a document beyond which converting or comparing it takes more than some milliseconds.
LARGE = 64 * 1024
#: The process yields the processor to those that serve.
_PROGRAM = """
import os, sys
os.nice(10)
from collab_storage.subprocesses import answer
answer(sys.stdin.buffer, sys.stdout.buffer)
"""


class ProcessQueue:
    """Work that runs in processes of its own, some of it at once; the rest waits.

    Args:
        at_once: processes at most.
        timeout: seconds after which a process counts as failed, and is killed.
    """

    def __init__(self, at_once: int, timeout: float) -> None:
        #: Each waits for one process.
        self._waiters = ThreadPoolExecutor(at_once, thread_name_prefix="collab-subprocess")
        self._timeout = timeout

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Return the result of ``function``, see :func:`run_in_process`."""
        try:
            loop = get_running_loop()
        except RuntimeError:
            # Synchronous code has called a coroutine that awaits nothing but this.
            return _ask(function, args, self._timeout)
        return await loop.run_in_executor(self._waiters, _ask, function, args, self._timeout)


_shared = ProcessQueue(at_once=2, timeout=120)
#: For work that may wait: it never delays the opening of a large document.
_patient = ProcessQueue(at_once=2, timeout=120)


async def run_in_process(function: Callable[..., T], *args: object) -> T:
    """Return the result of ``function``, called in a process of its own.

    Function, arguments and result are pickled. Its errors are raised here, and its log records are
    logged here. If no such process can be started, as where ``sys.executable`` is not a Python, the
    function is called in this process, with a warning in the log. Without an event loop, the thread
    waits.

    Raises:
        subprocess.SubprocessError: the process took too long, or was killed.
    """
    return await _shared.run(function, *args)


async def run_patiently(function: Callable[..., T], *args: object) -> T:
    """Return the same as :func:`run_in_process`, whose calls never wait for one of these.

    At most two of them run at a time.
    """
    return await _patient.run(function, *args)


async def run_job(size: int, job: Callable[..., T], *args: object) -> T:
    """Return the result of ``job``, which works on ``size`` bytes: in this process if they are few.

    See :func:`run_in_process` for the others.
    """
    return job(*args) if size <= LARGE else await run_in_process(job, *args)


def _ask(function: Callable[..., T], args: tuple[object, ...], timeout: float) -> T:
    try:
        result, error, records = _answered(function, args, timeout)
    except (OSError, EOFError, pickle.UnpicklingError, subprocess.CalledProcessError) as failure:
        if getattr(failure, "returncode", 0) < 0:
            # The reason, such as a lack of memory, must not kill this process, too.
            raise
        logger.warning(
            "Subprocess could not be started with %s; a large document is read in this process, "
            "which blocks meanwhile.",
            sys.executable,
            exc_info=True,
        )
        return function(*args)
    for record in records:
        logging.getLogger(record.name).handle(record)
    if error is not None:
        raise error
    return cast("T", result)


def _answered(function: Callable[..., Any], args: tuple[object, ...], timeout: float) -> Any:
    """Return the result that :func:`answer` writes in another process."""
    with TemporaryFile() as question, TemporaryFile() as reply:
        pickle.dump((function, args), question)
        question.seek(0)
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            stdin=question,
            stdout=reply,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=timeout,
            check=True,
        )
        reply.seek(0)
        return pickle.load(reply)


def answer(question: BinaryIO, reply: BinaryIO) -> None:
    """Read a function and its arguments, call it, and write result, error and log records."""
    function, args = pickle.load(question)
    # No record is dropped: the capacity is never reached.
    collector, log = BufferingHandler(sys.maxsize), logging.getLogger("collab_storage")
    log.addHandler(collector)
    result: Any = None
    error: Exception | None = None
    try:
        result = function(*args)
    except Exception as raised:
        error = raised
    finally:
        log.removeHandler(collector)
    pickle.dump((result, error, collector.buffer), reply)
