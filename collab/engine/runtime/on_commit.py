"""What waits for the commit of a transaction: work that is done once, whatever asked for it.

Work lives in the list of functions that Django calls after the commit and nowhere else, so it
goes when the transaction does. It is in there once for each stack of savepoints that it was asked
for in, as Django drops what was registered within a savepoint that is rolled back. What was asked
for within such a savepoint can be told by its :class:`SavepointScope`; who does not care keeps
hints in the work, and reads afterwards what became of them.
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
    """What is asked for within one stack of savepoints of a transaction."""

    def __init__(self, batch: _Batch) -> None:
        self.batch = batch
        #: Neither the transaction nor one of the savepoints was rolled back.
        self.is_committed = False
        self.is_registered = False

    def commit(self) -> None:
        """Note that it has been committed."""
        self.is_committed = True


class CommitWork(ABC):
    """Something to be done after a transaction on the database ``using``."""

    #: Of the transaction, that is asked for now.
    part: SavepointScope

    def __init__(self, using: str) -> None:
        self.using = using

    @abstractmethod
    def run(self) -> None:
        """Do what has been committed and was not done before; what it raises is logged.

        In a test that lets Django call what waits, savepoints are committed one after the other.
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
        # Blocks without a savepoint are told as None.
        key = frozenset(savepoint for savepoint in savepoints if savepoint)
        return self._parts.setdefault(key, SavepointScope(self))

    def find(self, kind: type[W]) -> W | None:
        """Return the work of a kind, if it was asked for."""
        return cast("W | None", self._works.get(kind))

    def work(self, kind: type[W]) -> W:
        """Return the work of a kind."""
        return cast("W", self._works.setdefault(kind, kind(self._using)))

    def run(self) -> None:
        """Do all of it."""
        for work in self._works.values():
            try:
                work.run()
            except Exception:
                # It has been committed, so neither the other works nor the caller's have failed.
                logger.exception("What a commit calls for could not be done.")


def _batch(connection: BaseDatabaseWrapper) -> _Batch | None:
    """Return the transaction's batch, if there is one."""
    for _, function, *_ in connection.run_on_commit[:1]:
        if isinstance(part := getattr(function, "__self__", None), SavepointScope):
            return part.batch
    return None


def _is_test(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a test has opened a transaction that it is never going to commit.

    What Django captures in it is what was registered since, at the end.
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
    """Move the last two before those of others: one that raises keeps Django from calling the rest.

    All parts come before all work, as only those that Django calls have been committed.
    """
    run, commit = functions.pop(), functions.pop()
    functions.insert(bisect(functions, False, key=_is_no_part), run)
    functions.insert(0, commit)


def _is_no_part(registered: Any) -> bool:
    return not isinstance(getattr(registered[1], "__self__", None), SavepointScope)


def _manual_transaction(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Return what lets a function be registered if the project has turned autocommit off."""
    if connection.in_atomic_block or connection.get_autocommit():
        return nullcontext()
    return transaction.atomic(connection.alias, savepoint=False)
