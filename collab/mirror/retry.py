"""Repeats transactions that the database could not do at the moment.

It ends deadlocks, refuses conflicts of concurrent transactions under a stricter isolation level,
gives up waiting for a lock, or has lost the connection. Rows can be written into
documents again in a new transaction, as it reads them anew.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from random import uniform
from time import monotonic, sleep
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections, router

from collab.mirror.models import MirroredDocument
from collab_storage.exceptions import StorageNotMigrated, StorageUnavailable
from collab_storage.orm import is_not_migrated

__all__ = ["is_in_transaction", "is_outage", "patiently"]

P = ParamSpec("P")
T = TypeVar("T")

#: Most attempts, and most seconds for all of them: a request may wait.
_ATTEMPTS = 20
_LONGEST = 10.0
_NOT_MIGRATED = "Tables of rows in documents are missing or old ({}): run manage.py migrate."
#: Longest first pause, and longest pause of all, in seconds.
_PAUSE, _LONGEST_PAUSE = 0.005, 0.2


def is_outage(error: BaseException) -> bool:
    """Return whether the same may succeed later: the database is away, or busy."""
    return isinstance(error, OperationalError | InterfaceError | StorageUnavailable)


def patiently(function: Callable[P, T]) -> Callable[P, T]:
    """Repeat ``function``, a transaction of its own, after an error that may pass.

    In a transaction of the caller it runs once: that one would have to begin anew.

    Raises:
        StorageNotMigrated: a table is missing; waiting does not help.
    """

    @wraps(function)
    def try_again(*args: P.args, **kwargs: P.kwargs) -> T:
        attempt, until = 1, monotonic() + _LONGEST
        while True:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if is_not_migrated(error):
                    sentence = str(error).partition("\n")[0]
                    raise StorageNotMigrated(_NOT_MIGRATED.format(sentence)) from error
                is_last = attempt == _ATTEMPTS or monotonic() > until
                if is_last or not is_outage(error) or is_in_transaction():
                    raise
            attempt += 1
            _drop_broken_connections()
            sleep(uniform(0, min(_PAUSE * 2**attempt, _LONGEST_PAUSE)))

    return try_again


def is_in_transaction() -> bool:
    """Return whether the caller has a transaction in the database of documents' locks."""
    connection = connections[router.db_for_write(MirroredDocument)]
    return connection.in_atomic_block or not connection.autocommit


def _drop_broken_connections() -> None:
    for connection in connections.all(initialized_only=True):
        # Unless it is in a transaction.
        connection.close_if_unusable_or_obsolete()
