"""Rows that wait for the lock of their document, in threads of their own.

The thread that ``sync_to_async`` shares is one for all synchronous code of a server. A save in it
tries once, and briefly, to write the rows into a document. If the document is locked, the rows are
written as soon as it is free, together with those of later saves. At its end a process waits for
them; if it is killed, the next opening of the document compares all rows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock

from asgiref.sync import SyncToAsync
from django.db import connections

from collab.mirror.outgoing.lookup import DocumentRows
from collab.mirror.outgoing.writing import reconcile, try_reconcile, try_rows, write_rows
from collab.mirror.retry import is_in_transaction, is_outage

__all__ = ["Backlog", "write"]

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
        elif keys is None:
            reconcile(room_name, create=False)
        else:
            write_rows(room_name, keys, known)
    except Exception:
        # The next change of these rows, or the next opening of the document, makes up.
        logger.exception("Rows could not be written.", extra={"room": room_name})


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
        self._lock = Lock()
        self._executor = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="collab-mirror-late")
        #: Those that a thread waits for, or will, with what it has not begun to write.
        self._waiting: dict[str, list[Keys]] = {}

    def write(self, room_name: str, keys: Keys, known: DocumentRows | None) -> None:
        """Write rows, or add them if their document is locked or has rows waiting."""
        later = partial(self.add, room_name)
        if room_name in self._waiting:
            later(keys)
            return
        try:
            if keys is None:
                try_reconcile(room_name, later)
            else:
                try_rows(room_name, keys, known, later)
        except Exception as error:
            if not is_outage(error):
                raise
            later(keys)

    def add(self, room_name: str, keys: Keys) -> None:
        """Have rows written when their document is free."""
        with self._lock:
            if (waiting := self._waiting.get(room_name)) is not None:
                waiting.append(keys)
                return
            self._waiting[room_name] = [keys]
        self._executor.submit(self._write_waiting, room_name)

    def _write_waiting(self, room_name: str) -> None:
        try:
            while found := self._take(room_name):
                write(room_name, _merged(found))
        finally:
            connections.close_all()

    def _take(self, room_name: str) -> list[Keys]:
        """Return what waits for a document; without anything the thread is done with it."""
        with self._lock:
            if found := self._waiting[room_name]:
                self._waiting[room_name] = []
            else:
                del self._waiting[room_name]
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
