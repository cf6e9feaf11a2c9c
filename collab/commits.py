"""What waits for the commit of a transaction: work that is done once, whatever asked for it.

Work lives in the list of functions that Django calls after the commit and nowhere else, so it
goes when the transaction does. It is in there once for each stack of savepoints that it was asked
for in, as Django drops what was registered within a savepoint that is rolled back. So what such a
savepoint has left in it may be done, too: keep hints in it, and read afterwards what became of
them.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar, cast

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["Work", "at_commit"]

logger = logging.getLogger(__name__)

W = TypeVar("W", bound="Work")


class Work(ABC):
    """Something to be done after a transaction on the database ``using``."""

    def __init__(self, using: str) -> None:
        self.using = using

    @abstractmethod
    def run(self) -> None:
        """Do it; the transaction has been committed. What it raises is logged."""


@contextmanager
def at_commit(using: str, kind: type[W]) -> Iterator[W]:
    """Yield the current transaction's work of a kind; without a transaction, the block's."""
    connection = connections[using]
    batch, savepoints = _registered(connection)
    yield batch.work(kind)
    if savepoints is None or not savepoints <= set(connection.savepoint_ids):
        _register(connection, batch)


class _Batch:
    """The works of one transaction."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._works: dict[type[Work], Work] = {}

    def work(self, kind: type[W]) -> W:
        """Return the work of a kind."""
        if kind not in self._works:
            self._works[kind] = kind(self._using)
        return cast("W", self._works[kind])

    def run(self) -> None:
        """Do all of it, once."""
        works, self._works = self._works, {}
        for work in works.values():
            try:
                work.run()
            except Exception:
                # It has been committed, so neither the other works nor the caller's have failed.
                logger.exception("What a commit calls for could not be done.")


def _registered(connection: BaseDatabaseWrapper) -> tuple[_Batch, set[Any] | None]:
    """Return the transaction's batch, and the savepoints that it is registered within.

    Instead of these ``None`` if the batch is to be registered.
    """
    for savepoints, function, *_ in connection.run_on_commit[:1]:
        if isinstance(batch := getattr(function, "__self__", None), _Batch):
            return batch, None if _is_test(connection) else savepoints
    return _Batch(connection.alias), None


def _is_test(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a test has opened a transaction that it is never going to commit.

    What Django captures in it is what was registered since, at the end.
    """
    blocks = getattr(connection, "atomic_blocks", ())
    return any(getattr(block, "_from_testcase", False) for block in blocks[:1])


def _register(connection: BaseDatabaseWrapper, batch: _Batch) -> None:
    with _manual_transaction(connection):
        transaction.on_commit(batch.run, using=connection.alias)
        if connection.in_atomic_block and not _is_test(connection):
            # Before those of others: one that raises keeps Django from calling the rest.
            connection.run_on_commit.insert(0, connection.run_on_commit.pop())


def _manual_transaction(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Return what lets a function be registered if the project has turned autocommit off."""
    if connection.in_atomic_block or connection.get_autocommit():
        return nullcontext()
    return transaction.atomic(connection.alias, savepoint=False)
