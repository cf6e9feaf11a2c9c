"""Readings of a thermometer, published to all dashboards and kept for those opened later."""

from datetime import datetime, timedelta
from math import sin
from typing import TypedDict

from django.utils import timezone

from collab.live import publish

#: The group of the dashboards' connections.
GROUP = "dashboard"
#: Number of readings on the chart.
KEPT = 60
#: Readings above it raise an alarm.
LIMIT = 30.0
#: Number of readings that the demo begins with.
FIRST = 24


class Reading(TypedDict):
    """A temperature and its time."""

    at: str
    value: float


def record(value: float, at: datetime | None = None) -> Reading:
    """Publish a reading, of this moment unless ``at`` is given."""
    reading = Reading(at=(at or timezone.now()).isoformat(), value=round(value, 1))
    publish(GROUP, "reading", reading, replay=KEPT)
    if value > LIMIT:
        publish(GROUP, "alarm", {"text": f"It is too warm: {value:.1f} °C."})
    return reading


def record_first() -> None:
    """Publish the readings of a mild day, so that the chart has a line from the beginning."""
    now = timezone.now()
    for hour in range(FIRST):
        record(21 + 3 * sin(hour / 4), now - timedelta(hours=FIRST - hour))
