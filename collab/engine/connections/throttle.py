"""Rate limits of one member."""

from __future__ import annotations

from collab.conf import Settings
from collab.engine.runtime.token_bucket import TokenBucket

__all__ = ["Throttle"]


class Throttle:
    """Limits the frames and bytes that one member sends, and the bytes that it asks for.

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
