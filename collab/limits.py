"""How fast one member may send."""

from __future__ import annotations

__all__ = ["Allowance"]


class Allowance:
    """A token bucket that slows its user down instead of refusing.

    Args:
        rate: units a second, on average.
        burst: units at once.
    """

    __slots__ = ("_burst", "_left", "_rate", "_then")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._then = 0.0

    def take(self, units: float, now: float) -> float:
        """Use ``units`` at the time ``now``; return the seconds to wait before going on."""
        self._left = min(self._burst, self._left + (now - self._then) * self._rate) - units
        self._then = now
        return max(0.0, -self._left / self._rate)
