"""Connection limits per user and address: concurrent connections, and new ones per minute.

A connection that is refused here has cost its handshake only: it is not authorized, and no
document is loaded for it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict
from math import ceil

from collab.conf import Settings, get_settings
from collab.engine.runtime.per_loop import PerLoop
from collab.engine.runtime.token_bucket import TokenBucket
from collab.exceptions import TryAgainLater

__all__ = ["Admission", "ConnectionLimits", "Limit", "RateLimit", "current_limits"]

logger = logging.getLogger("collab.admission")

#: New connections are counted per minute; a warning about refusals is logged once a minute.
_MINUTE = 60.0
#: New connections per minute for each concurrent connection that is allowed: more than one, as
#: all may come back at once after a restart.
_JOINS_PER_CONNECTION = 1.2
#: Rates are kept of at most this number of users or addresses; the least recent is dropped.
_MAX_REMEMBERED = 10_000


class RateLimit:
    """Limits how often each of many users or addresses does something.

    Args:
        times: at most this number in a minute on average, and at once.
        most: keys that are remembered, at most.
    """

    def __init__(self, times: int, most: int = _MAX_REMEMBERED) -> None:
        self._times = times
        self._most = most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def attempt(self, key: str, now: float) -> bool:
        """Count one at the time ``now``, unless that exceeds the limit; return whether it did."""
        bucket = self._buckets.pop(key, None)
        if bucket is None:
            bucket = TokenBucket(self._times / _MINUTE, self._times)
        # The most recent is the last.
        self._buckets[key] = bucket
        is_within = bucket.attempt(now)
        self._forget(now)
        return is_within

    def _forget(self, now: float) -> None:
        buckets, most = self._buckets, self._most
        while buckets and (len(buckets) > most or next(iter(buckets.values())).is_full(now)):
            buckets.popitem(last=False)


class Limit:
    """The connection limits of one kind of key.

    Args:
        kind: of the keys, for reasons and the log.
        most: concurrent connections of one key.
        setting: the name of that limit.
    """

    def __init__(self, kind: str, *, most: int, setting: str) -> None:
        self._kind = kind
        self._most = most
        self._setting = setting
        self._connections: Counter[str] = Counter()
        self._joins = RateLimit(ceil(most * _JOINS_PER_CONNECTION))
        self._quiet_until = 0.0

    def enter(self, key: str, now: float) -> None:
        """Admit one more connection of ``key``.

        Raises:
            TryAgainLater: one of the limits is reached.
        """
        if self._connections[key] >= self._most:
            self._refuse(key, now, f"Too many connections of your {self._kind}.")
        if not self._joins.attempt(key, now):
            self._refuse(key, now, f"Too many new connections of your {self._kind} in a minute.")
        self._connections[key] += 1

    def leave(self, key: str) -> None:
        """Remove one connection of ``key`` from the count."""
        self._connections[key] -= 1
        if not self._connections[key]:
            del self._connections[key]

    def _refuse(self, key: str, now: float, reason: str) -> None:
        if now >= self._quiet_until:
            self._quiet_until = now + _MINUTE
            logger.warning(
                "Connections are refused: one %s has reached %s.",
                self._kind,
                self._setting,
                extra={self._kind: key},
            )
        raise TryAgainLater(reason, limit=self._setting)


class ConnectionLimits:
    """The connection limits of users and addresses."""

    def __init__(self, settings: Settings) -> None:
        self.addresses = Limit(
            "address",
            most=settings.MAX_ADDRESS_CONNECTIONS,
            setting="MAX_ADDRESS_CONNECTIONS",
        )
        self.users = Limit(
            "user", most=settings.MAX_USER_CONNECTIONS, setting="MAX_USER_CONNECTIONS"
        )


_limits = PerLoop(lambda: ConnectionLimits(get_settings()))


def current_limits() -> ConnectionLimits:
    """Return the limits of the running event loop's connections."""
    return _limits.current()


class Admission:
    """One connection's place within the limits, until it ends."""

    __slots__ = ("_entered",)

    def __init__(self) -> None:
        # A tuple takes less than a list, and each connection has one.
        self._entered: tuple[tuple[Limit, str], ...] = ()

    def enter(self, limit: Limit, key: str | None) -> None:
        """Count the connection, unless its key is not known.

        Raises:
            TryAgainLater: the limit is reached.
        """
        if key is not None:
            limit.enter(key, time.monotonic())
            self._entered = (*self._entered, (limit, key))

    def end(self) -> None:
        """Remove the connection from the count."""
        for limit, key in self._entered:
            limit.leave(key)
        self._entered = ()
