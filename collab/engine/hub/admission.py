"""Who may come in: so many connections at once, and so many in a minute, of a user or an address.

What is refused here has cost nothing but the handshake: nothing is authorized or loaded before.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from itertools import islice
from typing import Any

from collab.conf import Settings, get_settings
from collab.engine.runtime.per_loop import PerLoop
from collab.exceptions import TryAgainLater

__all__ = ["Admission", "ConnectionLimits", "Limit", "RateLimit", "address_of", "current_limits"]

logger = logging.getLogger("collab.admission")

#: Joins are counted per minute, and warned of refusals is once a minute.
_MINUTE = 60.0
#: Users or addresses of which a pace is kept. Beyond it the one not seen for longest is forgotten.
_MOST_KEPT = 10_000
#: A number of times that is exceeded by rounding alone is not exceeded.
_ROUNDING = 1e-6


def address_of(scope: Mapping[str, Any]) -> str | None:
    """Return whom a connection's address stands for, or None if the server does not know it.

    Whoever has an IPv6 address has 2**64 of them, so all of them count as one.
    """
    if not (client := scope.get("client")):
        return None
    try:
        address = ip_address(client[0])
    except ValueError:
        # Not of the Internet, a Unix socket's path for example.
        return client[0] or None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"{IPv6Address(address.packed[:8] + bytes(8))}/64"
        address = address.ipv4_mapped
    return str(address)


class RateLimit:
    """How often each of many may do something: a token bucket each.

    One number is kept of each: when all its tokens will be back. What lies in the past need not
    be kept at all.

    Args:
        times: how often in ``period`` on average, and at once.
        period: in seconds.
        most: how many are kept.
    """

    def __init__(self, times: int, period: float = _MINUTE, most: int = _MOST_KEPT) -> None:
        self._period = period
        self._interval = period / times
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, who: str, now: float) -> bool:
        """Let ``who`` do it at the time ``now``, or return False, which costs nothing."""
        full_at = max(self._full_at.get(who, now), now) + self._interval
        if full_at > now + self._period + _ROUNDING:
            return False
        self._full_at[who] = full_at
        self._full_at.move_to_end(who)
        self._forget(now)
        return True

    def _forget(self, now: float) -> None:
        while len(self._full_at) > self._most or self._is_past(now):
            self._full_at.popitem(last=False)

    def _is_past(self, now: float) -> bool:
        """Tell whether the one not seen for longest has all its tokens back."""
        return any(full_at <= now for full_at in islice(self._full_at.values(), 1))


class Limit:
    """The limits of one kind of visitor.

    Args:
        kind: what the visitors are called, in reasons and in the log.
        most: connections that one of them may have.
        most_name: the setting that says so.
        joins: connections that one of them may open in a minute.
        joins_name: the setting that says so.
    """

    def __init__(
        self, kind: str, *, most: int, most_name: str, joins: int, joins_name: str
    ) -> None:
        self._kind = kind
        self._most, self._most_name = most, most_name
        self._joins_name = joins_name
        self._inside: Counter[str] = Counter()
        self._pace = RateLimit(joins)
        self._quiet_until = 0.0

    def enter(self, who: str, now: float) -> None:
        """Let in one more connection of ``who``.

        Raises:
            TryAgainLater: one of the limits is reached.
        """
        if self._inside[who] >= self._most:
            self._refuse(who, now, f"Too many connections of your {self._kind}.", self._most_name)
        if not self._pace.take(who, now):
            reason = f"Too many new connections of your {self._kind} in a minute."
            self._refuse(who, now, reason, self._joins_name)
        self._inside[who] += 1

    def leave(self, who: str) -> None:
        """Let one connection of ``who`` out."""
        self._inside[who] -= 1
        if not self._inside[who]:
            del self._inside[who]

    def _refuse(self, who: str, now: float, reason: str, limit: str) -> None:
        if now >= self._quiet_until:
            self._quiet_until = now + _MINUTE
            logger.warning(
                "%s is reached by one %s; its connections are refused.",
                limit,
                self._kind,
                extra={self._kind: who},
            )
        raise TryAgainLater(reason, limit=limit)


class ConnectionLimits:
    """Connection limits per user and address: concurrent, and new ones per minute."""

    def __init__(self, settings: Settings) -> None:
        self.addresses = Limit(
            "address",
            most=settings.MAX_ADDRESS_CONNECTIONS,
            most_name="MAX_ADDRESS_CONNECTIONS",
            joins=settings.MAX_ADDRESS_JOINS,
            joins_name="MAX_ADDRESS_JOINS",
        )
        self.users = Limit(
            "user",
            most=settings.MAX_USER_CONNECTIONS,
            most_name="MAX_USER_CONNECTIONS",
            joins=settings.MAX_USER_JOINS,
            joins_name="MAX_USER_JOINS",
        )


_limits = PerLoop(lambda: ConnectionLimits(get_settings()))


def current_limits() -> ConnectionLimits:
    """Return the limits of the running event loop's connections."""
    return _limits.current()


class Admission:
    """One connection, from when it knocks until it is gone."""

    __slots__ = ("_entered",)

    def __init__(self) -> None:
        self._entered: list[tuple[Limit, str]] = []

    def enter(self, gate: Limit, who: str | None) -> None:
        """Go through ``gate``, unless it is not known as whom.

        Raises:
            TryAgainLater: one of the gate's limits is reached.
        """
        if who is not None:
            gate.enter(who, time.monotonic())
            self._entered.append((gate, who))

    def end(self) -> None:
        """Leave for good."""
        for gate, who in self._entered:
            gate.leave(who)
        self._entered.clear()
