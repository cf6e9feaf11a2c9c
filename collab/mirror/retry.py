"""Trying again what the database could not do at the moment.

It breaks deadlocks, refuses what contradicts a concurrent transaction if it isolates them more than
by default, gives up waiting for a lock, or has lost the connection. What is written into documents
after a commit can be written again in a new transaction: it is read anew as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from random import uniform
from time import monotonic, sleep
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections, router

from collab.mirror.models import MirroredDocument
from collab_storage.exceptions import StorageUnavailable

__all__ = ["is_outage", "patiently"]

P = ParamSpec("P")
T = TypeVar("T")

#: So often something is tried, and for so long at most, in seconds: a request may wait for it.
_ATTEMPTS = 20
_LONGEST = 10.0
#: The first pause is up to so long; the others longer and longer, but for the last of these.
_PAUSE, _LONGEST_PAUSE = 0.005, 0.2


def is_outage(error: BaseException) -> bool:
    """Tell whether the same may well succeed later: the database is away, or busy."""
    return isinstance(error, OperationalError | InterfaceError | StorageUnavailable)


def patiently(function: Callable[P, T]) -> Callable[P, T]:
    """Let ``function``, a transaction of its own, be tried again if the same may succeed later.

    In a transaction of the caller it is tried once: that one would have to begin anew.
    """

    @wraps(function)
    def try_again(*args: P.args, **kwargs: P.kwargs) -> T:
        attempt, until = 1, monotonic() + _LONGEST
        while True:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                is_last = attempt == _ATTEMPTS or monotonic() > until
                if is_last or not is_outage(error) or _is_in_transaction():
                    raise
            attempt += 1
            _drop_broken_connections()
            sleep(uniform(0, min(_PAUSE * 2**attempt, _LONGEST_PAUSE)))

    return try_again


def _is_in_transaction() -> bool:
    connection = connections[router.db_for_write(MirroredDocument)]
    return connection.in_atomic_block or not connection.autocommit


def _drop_broken_connections() -> None:
    for connection in connections.all(initialized_only=True):
        # Unless it is in a transaction.
        connection.close_if_unusable_or_obsolete()
