"""The token bucket: an average rate, and a burst at once."""

from __future__ import annotations

from typing import Final

__all__ = ["TokenBucket"]

#: A limit that is exceeded by rounding alone, in seconds, is not exceeded.
_ROUNDING: Final = 1e-6


class TokenBucket:
    """Limits how often something is done.

    One number is kept: when all units will be back.

    Args:
        rate: units a second, on average.
        burst: units at once.
    """

    __slots__ = ("_burst_time", "_full_at", "_interval")

    def __init__(self, rate: float, burst: float) -> None:
        self._interval = 1 / rate
        self._burst_time = burst / rate
        self._full_at = 0.0

    def take(self, units: float, now: float) -> float:
        """Use ``units`` at the time ``now``; return the seconds to wait before going on."""
        full_at = self._full_at
        self._full_at = full_at = (full_at if full_at > now else now) + units * self._interval
        wait = full_at - now - self._burst_time
        return wait if wait > _ROUNDING else 0.0

    def attempt(self, now: float) -> bool:
        """Use a unit at the time ``now``, unless none is left; return whether one was used."""
        before = self._full_at
        if self.take(1, now):
            self._full_at = before
            return False
        return True

    def is_full(self, now: float) -> bool:
        """Return whether all units are back."""
        return self._full_at <= now
