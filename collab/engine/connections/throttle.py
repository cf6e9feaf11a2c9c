"""How fast one member may send."""

from __future__ import annotations

from collab.conf import Settings

__all__ = ["Throttle", "TokenBucket"]


class TokenBucket:
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
        left = self._left + (now - self._then) * self._rate
        self._left = left = (left if left < self._burst else self._burst) - units
        self._then = now
        return 0.0 if left >= 0.0 else -left / self._rate


class Throttle:
    """What one member may send, frames and bytes, and what it may ask for.

    Args:
        settings: for the limits.
    """

    __slots__ = ("_answers", "_bytes", "_frames", "waited")

    def __init__(self, settings: Settings) -> None:
        self._frames = TokenBucket(settings.MESSAGE_RATE, settings.MESSAGE_BURST)
        self._bytes = TokenBucket(settings.BYTE_RATE, settings.BYTE_BURST)
        # Each member needs the document once, however large it is.
        burst = settings.BYTE_BURST + settings.MAX_DOCUMENT_SIZE
        self._answers = TokenBucket(settings.BYTE_RATE, burst)
        #: Seconds that the member had to wait so far, all in all.
        self.waited = 0.0

    def take(self, size: int, now: float, *, answered: int = 0) -> float:
        """Use a frame; return the seconds to wait before the next.

        Args:
            size: of the frame, in bytes.
            now: the time.
            answered: bytes that answered it.
        """
        wait = self._frames.take(1, now)
        if (for_bytes := self._bytes.take(size, now)) > wait:
            wait = for_bytes
        if answered:
            wait = max(wait, self._answers.take(answered, now))
        self.waited += wait
        return wait
