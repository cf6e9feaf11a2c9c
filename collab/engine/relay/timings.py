"""Intervals of the relay."""

from __future__ import annotations

from dataclasses import dataclass

from collab.engine.relay.layer_channel import LAYER_PAUSE, LAYER_TIMEOUT

__all__ = ["DEFAULT", "RelayTimings"]

#: Time for which a process collects updates before it stores them, at most, in seconds. The writer
#: has the same time as a number of pauses; neither package may import the other.
_COLLECTING = 1.6


@dataclass(slots=True)
class RelayTimings:
    """Intervals of a relay, in seconds.

    Args:
        timeout: a message through the channel layer is lost if it takes longer.
        patience: time for a late message to fill a gap, and for an answer, before the next
            question.
        retry: pause before the next attempt to use a layer that fails.
        digest: how often a room sends its progress to other processes while nothing changes.
        peer: a process that sends nothing for this time has left the room.
        pace: least time between two rounds of messages.
        tick: how often the clocks of rooms are checked that have something due soon.
        long_tick: how often those of all rooms are.
    """

    timeout: float = LAYER_TIMEOUT
    retry: float = LAYER_PAUSE
    patience: float = 0.5
    digest: float = 15.0
    peer: float = 40.0
    pace: float = 0.02
    tick: float = 0.25
    long_tick: float = 1.0

    @property
    def adoption(self) -> float:
        """Seconds after which the others store an update that its process has not confirmed."""
        return self.timeout + _COLLECTING


#: The timings of a server.
DEFAULT = RelayTimings()
