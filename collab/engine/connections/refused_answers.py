"""The question to a client for updates that the server lacks, and answers that were refused.

A client that is refused an update for good, as it is too large or not valid, connects again, and
returns the update with its answer to that question, forever. So it is asked again after a pause
only, which grows with each refusal; meanwhile it gets the changes of the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from collab.engine.runtime.per_loop import PerLoop
from collab.exceptions import MemberError, ProtocolViolation, TooBig

__all__ = ["RefusedAnswers", "UpdateQuestion"]

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

    def __len__(self) -> int:
        return len(self._pauses)

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


class UpdateQuestion:
    """The question to one client for updates that the server lacks.

    Args:
        user_id: primary key of the user, as text; ``None`` for an anonymous one.
        address: of the client, which stands for an anonymous user.
    """

    __slots__ = ("_address", "_answers", "_timer", "_user_id", "document")

    def __init__(self, user_id: str | None, address: str) -> None:
        self._answers: RefusedAnswers | None = None
        self._user_id = user_id
        self._address = address
        #: Name of the document; a client without one is not asked.
        self.document: str | None = None
        #: Asks when the pause is over.
        self._timer: asyncio.TimerHandle | None = None

    @property
    def _client(self) -> Key:
        return self.document or "", self._user_id or self._address

    def ask(self, send: Callable[[], None]) -> None:
        """Call ``send``: later if updates of the client were refused for good a moment ago."""
        if self._timer is not None:
            return
        if not (pause := self._pause()):
            send()
        else:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(pause, self._ask_again, send)

    def _pause(self) -> float:
        answers = self._answers = _answers.current()
        if not answers:
            return 0.0
        return answers.pause(self._client, asyncio.get_running_loop().time())

    def _ask_again(self, send: Callable[[], None]) -> None:
        self._timer = None
        self.ask(send)

    def accept(self) -> None:
        """Record that the client's answer was accepted."""
        if self._answers:
            self._answers.accept(self._client)

    def refuse(self, error: MemberError) -> None:
        """Record that the client is refused because of ``error``, for good or not."""
        if isinstance(error, TooBig | ProtocolViolation) and self.document is not None:
            now = asyncio.get_running_loop().time()
            _answers.current().refuse(self._client, error.cause, now, self._user_id)

    def cancel(self) -> None:
        """Do not ask any more: the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
