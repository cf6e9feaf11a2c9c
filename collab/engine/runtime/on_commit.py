"""Work after the commit of a transaction, done once however often it was requested.

Work lives only in the list of functions that Django calls after the commit, so it disappears with
the transaction. The list has it once for each stack of savepoints in which it was requested,
because Django drops functions that were registered in a savepoint that is rolled back. The
:class:`SavepointScope` distinguishes requests of such a savepoint. Work that needs no such
distinction keeps hints, and reads the committed data afterwards.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from bisect import bisect
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar, cast

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["CommitWork", "SavepointScope", "at_commit", "waiting"]

logger = logging.getLogger("collab.commits")

W = TypeVar("W", bound="CommitWork")


class SavepointScope:
    """Requests within one stack of savepoints of a transaction."""

    def __init__(self, batch: _Batch) -> None:
        self.batch = batch
        #: Neither the transaction nor one of the savepoints was rolled back.
        self.is_committed = False
        self.is_registered = False

    def commit(self) -> None:
        """Record the commit."""
        self.is_committed = True


class CommitWork(ABC):
    """Work after a transaction on the database ``using``."""

    #: The part of the transaction that is requested now.
    part: SavepointScope

    def __init__(self, using: str) -> None:
        self.using = using

    @abstractmethod
    def run(self) -> None:
        """Do the work that is committed and was not done before; exceptions are logged.

        In a test in which Django calls the waiting functions, savepoints commit one by one.
        """


@contextmanager
def at_commit(using: str, kind: type[W]) -> Iterator[W]:
    """Yield the current transaction's work of a kind; without a transaction, the block's."""
    connection = connections[using]
    part = (_batch(connection) or _Batch(using)).part(connection.savepoint_ids)
    work = part.batch.work(kind)
    work.part = part
    yield work
    if not part.is_registered or _is_test(connection):
        part.is_registered = True
        _register(connection, part)


def waiting(using: str, kind: type[W]) -> W | None:
    """Return the current transaction's work of a kind, if there is any."""
    batch = _batch(connections[using])
    return None if batch is None else batch.find(kind)


class _Batch:
    """The works of one transaction."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._works: dict[type[CommitWork], CommitWork] = {}
        self._parts: dict[frozenset[str], SavepointScope] = {}

    def part(self, savepoints: Iterable[str | None]) -> SavepointScope:
        """Return the part within these savepoints."""
        # Blocks without a savepoint are None.
        key = frozenset(savepoint for savepoint in savepoints if savepoint)
        return self._parts.setdefault(key, SavepointScope(self))

    def find(self, kind: type[W]) -> W | None:
        """Return the work of a kind, if it was requested."""
        return cast("W | None", self._works.get(kind))

    def work(self, kind: type[W]) -> W:
        """Return the work of a kind."""
        return cast("W", self._works.setdefault(kind, kind(self._using)))

    def run(self) -> None:
        """Do all work."""
        for work in self._works.values():
            try:
                work.run()
            except Exception:
                # The transaction is committed: neither the other works nor the caller have failed.
                logger.exception("After-commit work failed.")


def _batch(connection: BaseDatabaseWrapper) -> _Batch | None:
    """Return the transaction's batch, if there is one."""
    for _, function, *_ in connection.run_on_commit[:1]:
        if isinstance(part := getattr(function, "__self__", None), SavepointScope):
            return part.batch
    return None


def _is_test(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a test has opened a transaction that it never commits.

    Django captures in it the functions that were registered later, at the end of the list.
    """
    blocks = getattr(connection, "atomic_blocks", ())
    return any(getattr(block, "_from_testcase", False) for block in blocks[:1])


def _register(connection: BaseDatabaseWrapper, part: SavepointScope) -> None:
    with _manual_transaction(connection):
        transaction.on_commit(part.commit, using=connection.alias)
        transaction.on_commit(part.batch.run, using=connection.alias)
        if connection.in_atomic_block and not _is_test(connection):
            _put_first(connection.run_on_commit)


def _put_first(functions: list[Any]) -> None:
    """Move the last two before other functions: one that raises keeps Django from calling the rest.

    All parts come before all work, as only those that Django calls have been committed.
    """
    run, commit = functions.pop(), functions.pop()
    functions.insert(bisect(functions, False, key=_is_no_part), run)
    functions.insert(0, commit)


def _is_no_part(registered: Any) -> bool:
    return not isinstance(getattr(registered[1], "__self__", None), SavepointScope)


def _manual_transaction(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Return a context in which functions can be registered although autocommit is off."""
    if connection.in_atomic_block or connection.get_autocommit():
        return nullcontext()
    return transaction.atomic(connection.alias, savepoint=False)
