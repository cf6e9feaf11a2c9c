"""Rows that wait for the lock of their document, in threads of their own.

The thread that ``sync_to_async`` shares is one for all synchronous code of a server. A save in it
tries once, and briefly, to write the rows into a document. If the document is locked, the rows are
written as soon as it is free, together with those of later saves. At its end a process waits for
them, at most ``CLOSE_TIMEOUT``; if it waits in vain or is killed, the next opening of the document
compares all rows.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Collection, Mapping
from functools import partial
from threading import Condition, Thread

from asgiref.sync import SyncToAsync
from django.db import connections, router

from collab.conf import get_settings
from collab.engine.runtime.shutdown import run_at_exit
from collab.mirror.models import MirroredDocument
from collab.mirror.outgoing.copy_cache import is_kept
from collab.mirror.outgoing.locks import can_lock_alone
from collab.mirror.outgoing.lookup import DocumentRows
from collab.mirror.outgoing.writing import Later, reconcile, try_alone, write_rows
from collab.mirror.retry import is_in_transaction, is_outage

__all__ = ["Backlog", "write", "write_alone"]

logger = logging.getLogger("collab.mirror")

#: Documents that are waited for at the same time, at most.
_MAX_THREADS = 4

#: Primary keys as text, by the mirror's ``map_name``; ``None``: all rows of the document.
Keys = Mapping[str, Collection[str]] | None


def write(room_name: str, keys: Keys, known: DocumentRows | None = None) -> None:
    """Write rows into a document, or have them written later; errors are logged.

    Args:
        room_name: the document.
        keys: of the rows.
        known: see :func:`~collab.mirror.outgoing.writing.write_rows`.
    """
    try:
        if _is_shared_thread() and not is_in_transaction():
            _backlog.write(room_name, keys, known)
        else:
            _write(room_name, keys, known)
    except Exception:
        # The next change of these rows, or the next opening of the document, makes up.
        logger.exception("Rows could not be written.", extra={"room": room_name})


def _write(
    room_name: str, keys: Keys, known: DocumentRows | None, later: Later | None = None
) -> None:
    if keys is None:
        reconcile(room_name, create=False, later=later)
    else:
        write_rows(room_name, keys, known, later)


def write_alone(room_name: str, map_name: str, key: str) -> bool:
    """Write the only row that a transaction has changed, if its document is free.

    Args:
        room_name: the document that the row is in now.
        map_name: of the row's mirror.
        key: of the row.

    Returns:
        False if it has to be looked up which documents the row is in.
    """
    using = router.db_for_write(MirroredDocument)
    is_usual = is_kept(room_name) and not _backlog.has(room_name)
    if not is_usual or not can_lock_alone(using) or is_in_transaction():
        return False
    later = partial(_backlog.add, room_name) if _is_shared_thread() else None
    try:
        return try_alone(room_name, map_name, key, later)
    except Exception as error:
        if is_outage(error):
            return False
        logger.exception("Rows could not be written.", extra={"room": room_name})
        return True


def _is_shared_thread() -> bool:
    """Return whether async code waits for this thread, and may wait with other work for it."""
    loop = getattr(SyncToAsync.threadlocal, "main_event_loop", None)
    # The main thread keeps that of an ``async_to_sync()`` that has ended.
    return loop is not None and loop.is_running()


class Backlog:
    """Documents that are locked, with the rows to write into them."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything: the threads of a process are not in its fork."""
        self._changed = Condition()
        #: By document, the rows that its thread has not begun to write.
        self._waiting: dict[str, list[Keys]] = {}
        #: Documents without a thread yet.
        self._queue: deque[str] = deque()
        self._threads = 0
        self._finishes_at_exit = False

    def has(self, room_name: str) -> bool:
        """Return whether rows wait for a document."""
        return room_name in self._waiting

    def write(self, room_name: str, keys: Keys, known: DocumentRows | None) -> None:
        """Write rows, or add them if their document is locked or has rows waiting."""
        later = partial(self.add, room_name)
        if self.has(room_name):
            later(keys)
            return
        try:
            _write(room_name, keys, known, later)
        except Exception as error:
            if not is_outage(error):
                raise
            later(keys)

    def add(self, room_name: str, keys: Keys) -> None:
        """Have rows written when their document is free."""
        with self._changed:
            if (waiting := self._waiting.get(room_name)) is not None:
                waiting.append(keys)
                return
            if not self._finishes_at_exit:
                self._finishes_at_exit = True
                run_at_exit(self.finish)
            self._waiting[room_name] = [keys]
            self._queue.append(room_name)
            if self._threads < _MAX_THREADS:
                self._threads += 1
                # The end of the process does not wait for it, but for finish().
                Thread(target=self._run, name="collab-mirror-late", daemon=True).start()

    def finish(self, timeout: float | None = None) -> None:
        """Wait until all rows are written, and log which documents still lack some.

        Args:
            timeout: the longest wait in seconds; by default ``CLOSE_TIMEOUT``.
        """
        longest = get_settings().CLOSE_TIMEOUT if timeout is None else timeout
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, longest)
            late = [*self._waiting]
        for room_name in late:
            logger.error(
                "The process ends before rows could be written: their document has been locked for"
                " too long. Its next opening compares all rows.",
                extra={"room": room_name},
            )

    # The threads that write.

    def _run(self) -> None:
        try:
            while room_name := self._next():
                self._write_waiting(room_name)
        finally:
            connections.close_all()

    def _next(self) -> str | None:
        """Return the next document for a thread; ``None`` ends it."""
        with self._changed:
            if self._queue:
                return self._queue.popleft()
            self._threads -= 1
            return None

    def _write_waiting(self, room_name: str) -> None:
        while found := self._take(room_name):
            try:
                write(room_name, _merged(found))
            except BaseException:
                # pycrdt raises such, too, and the thread writes other documents next.
                logger.exception("Rows could not be written.", extra={"room": room_name})

    def _take(self, room_name: str) -> list[Keys]:
        """Return the rows that wait for a document; without any, the thread is done with it."""
        with self._changed:
            if found := self._waiting[room_name]:
                self._waiting[room_name] = []
            else:
                del self._waiting[room_name]
                self._changed.notify_all()
            return found


def _merged(several: list[Keys]) -> Keys:
    merged: dict[str, dict[str, None]] = {}
    for keys in several:
        if keys is None:
            return None
        for map_name, those in keys.items():
            merged.setdefault(map_name, {}).update(dict.fromkeys(those))
    return merged


_backlog = Backlog()
os.register_at_fork(after_in_child=_backlog.clear)
