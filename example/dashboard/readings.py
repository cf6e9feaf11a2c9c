"""Readings of a thermometer: published to all who look, and kept for those who come later."""

from typing import TypedDict

from django.utils import timezone

from collab.live import publish

#: The connections of those who look.
GROUP = "dashboard"
#: So many readings are on the chart.
KEPT = 60
#: Above it, it is too warm.
LIMIT = 30.0


class Reading(TypedDict):
    """How warm it was, and when."""

    at: str
    value: float


def record(value: float) -> Reading:
    """Tell everybody how warm it is."""
    reading = Reading(at=timezone.now().isoformat(), value=round(value, 1))
    publish(GROUP, "reading", reading, replay=KEPT)
    if value > LIMIT:
        publish(GROUP, "alarm", {"text": f"It is too warm: {value:.1f} °C."})
    return reading
