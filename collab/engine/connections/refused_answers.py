"""Clients whose updates were refused for good, which would send them again for ever.

A client that is refused an update, as it is too large or not valid, connects again, and returns the
update with its answer to the server's request for missing updates. So it is asked again after a
pause only, which grows with each refusal; meanwhile it gets the changes of the others.
"""

from __future__ import annotations

import logging
from collections import OrderedDict

from collab.engine.runtime.per_loop import PerLoop

__all__ = ["RefusedAnswers", "current_refused_answers"]

logger = logging.getLogger("collab.member")

#: A document's name, and its client's user or address.
Key = tuple[str, str]

#: The first and the longest pause, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 600.0
#: Clients that are remembered, at most. Beyond it the least recent is forgotten.
_MAX_REMEMBERED = 10_000


class RefusedAnswers:
    """The pauses of one event loop."""

    def __init__(self) -> None:
        #: The pause of a client, and until when it lasts.
        self._pauses: OrderedDict[Key, tuple[float, float]] = OrderedDict()

    def refuse(self, key: Key, cause: str, now: float, user: str | None = None) -> None:
        """Record that an update was refused for good; a client is logged once in a pause.

        Args:
            key: the client.
            cause: see :class:`collab.exceptions.MemberError`.
            now: the event loop's clock.
            user: of the client, for the log.
        """
        pause, until = self._pauses.pop(key, (0.0, now))
        if now >= until:
            pause = min(2 * pause, _LONGEST_PAUSE) or _FIRST_PAUSE
            until = now + pause
            logger.warning(
                "An update is refused for good (%s); its client is asked again in %d s.",
                cause,
                pause,
                extra={"room": key[0], "user": user},
            )
        self._pauses[key] = pause, until
        if len(self._pauses) > _MAX_REMEMBERED:
            self._pauses.popitem(last=False)

    def accept(self, key: Key) -> None:
        """Forget the pause of a client whose answer was accepted."""
        self._pauses.pop(key, None)

    def pause(self, key: Key, now: float) -> float:
        """Return for how many seconds not to ask a client."""
        return max(0.0, self._pauses[key][1] - now) if key in self._pauses else 0.0


_answers = PerLoop(RefusedAnswers)
#: Return those of the running event loop.
current_refused_answers = _answers.current
