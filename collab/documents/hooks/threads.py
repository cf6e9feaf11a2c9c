"""Threads for the methods of one document type (I15).

asgiref has one thread for all synchronous code of a server's connections: there, a method that
does not return would stop every connection.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from time import monotonic
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from django.db import connections

__all__ = ["HookThreads", "threads_of"]

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds after which a call does not hold up the next one any more.
_SLOW_AFTER = 1.0
#: Threads of one type, at most; with as many slow calls, the others wait.
_MAX_THREADS = 8
#: Seconds after which a thread without work ends.
_IDLE_TIME = 60.0


class HookThreads(Executor):
    """Runs calls one after another; while one is slow, the next ones run beside it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads: set[threading.Thread] = set()
        #: Threads that run nothing.
        self._free = 0
        #: By thread, when its call began.
        self._began: dict[threading.Thread, float] = {}

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call soon, in a thread that does not keep the process from ending.

        Raises:
            RuntimeError: no thread can be started.
        """
        future: Future[T] = Future()
        with self._changed:
            self._queue.append((future, partial(fn, *args, **kwargs)))
            try:
                self._start_thread()
            except RuntimeError:
                self._queue.pop()
                raise
            self._changed.notify()
        return future

    def _start_thread(self) -> None:
        """Start a thread that waits for the calls in the queue, unless one does.

        Raises:
            RuntimeError: none can be started, and there is no other.
        """
        if self._queue and not self._free and len(self._threads) < _MAX_THREADS:
            thread = threading.Thread(target=self._run, name="collab-hooks", daemon=True)
            try:
                # It waits for the lock, which is held here.
                thread.start()
            except RuntimeError:
                if not self._threads:
                    raise
                # One of the others runs the calls when it is free.
                return
            self._threads.add(thread)
            self._free += 1

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                future, call = work
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(call())
                    except BaseException as error:
                        future.set_exception(error)
                del work, future, call
                with self._changed:
                    del self._began[threading.current_thread()]
                    self._free += 1
        finally:
            connections.close_all()

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """Return the next call once no prompt one runs; ``None`` ends the thread."""
        end = monotonic() + _IDLE_TIME
        with self._changed:
            while (pause := self._pause(end)) > 0:
                self._changed.wait(pause)
            self._free -= 1
            if not self._queue:
                self._threads.discard(threading.current_thread())
                return None
            self._began[threading.current_thread()] = monotonic()
            work = self._queue.popleft()
            self._start_thread()
            return work

    def _pause(self, end: float) -> float:
        """Return for how long a free thread has to wait."""
        now = monotonic()
        if not self._queue:
            return end - now
        return max((at + _SLOW_AFTER - now for at in self._began.values()), default=0)


_threads: WeakKeyDictionary[Any, HookThreads] = WeakKeyDictionary()
_lock = threading.Lock()
# The threads of a process are not in its fork.
os.register_at_fork(after_in_child=_threads.clear)


def threads_of(owner: Any) -> HookThreads:
    """Return the threads for methods of a document type, which is ``owner``."""
    with _lock:
        return _threads.setdefault(owner, HookThreads())
