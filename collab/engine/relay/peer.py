"""Another process that holds a room, as far as this one knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Peer"]


@dataclass(eq=False)
class Peer:
    """Another process that holds the room; owns the presence that came from it.

    Args:
        channel: the layer's channel of the process.
        heard_at: when its last message arrived.
        user_id: none; members have one.
        verified: nothing; the states that it sends have it.
        sent: the highest number of a message that it has sent, as far as is known.
        seen: all messages up to this number have arrived.
        ahead: numbers beyond ``seen`` that have arrived.
        stored: it has stored its updates up to this number, as it says.
        unconfirmed: its updates beyond ``stored``, by number, and when they arrived.
        ask_at: when to ask it for updates that are missing.
        asks: how often it was asked without an answer.
        gap_at: when to check whether a missing message has arrived late.
        differs: its state was another than that of this process when it was last compared.
        claim: its state vector, which shows that it has more than this process, unless that is
            on its way; and when to check.
    """

    channel: str
    heard_at: float
    user_id: str | None = None
    verified: str = ""
    sent: int = 0
    seen: int = 0
    ahead: set[int] = field(default_factory=set)
    stored: int = 0
    unconfirmed: dict[int, tuple[bytes, float]] = field(default_factory=dict)
    ask_at: float | None = None
    asks: int = 0
    gap_at: float | None = None
    differs: bool = False
    claim: tuple[bytes, float] | None = None

    @property
    def has_question(self) -> bool:
        """Whether this process asks it something, or may soon."""
        return self.ask_at is not None or self.gap_at is not None or self.claim is not None

    @property
    def has_gap(self) -> bool:
        """Whether messages that it has sent have not arrived."""
        return self.seen < self.sent

    def receive(self, number: int) -> None:
        """Record that the message of that number has arrived, perhaps again."""
        self.sent = max(self.sent, number)
        if number > self.seen:
            self.ahead.add(number)
        while self.seen + 1 in self.ahead:
            self.seen += 1
            self.ahead.discard(self.seen)

    def catch_up(self, number: int) -> None:
        """Record that the content of all messages up to that number is known."""
        self.seen = max(self.seen, number)
        self.ahead = {ahead for ahead in self.ahead if ahead > self.seen}
        self.receive(self.seen)
        self.ask_at, self.asks = None, 0
        if self.has_gap:
            self.ask_at = 0.0

    def confirm(self, stored: int) -> None:
        """Record that its updates up to that number are stored."""
        self.stored = max(self.stored, stored)
        self.unconfirmed = {
            number: update for number, update in self.unconfirmed.items() if number > self.stored
        }

    def take_unconfirmed(self, before: float | None) -> list[bytes]:
        """Return, for this process to store, the updates that have waited since ``before``."""
        numbers = [
            number for number, (_, at) in self.unconfirmed.items() if before is None or at < before
        ]
        return [self.unconfirmed.pop(number)[0] for number in numbers]
