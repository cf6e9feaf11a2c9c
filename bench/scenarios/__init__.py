"""Scenarios: one module for each kind of situation."""

from __future__ import annotations

from collections.abc import Sequence

from .base import EVERY, STANDARD, Figures, Scenario, percentiles, times
from .cold import COLD
from .fanout import FANOUT
from .joins import ISOLATION, JOINS
from .memory import MEMORY
from .presence import PRESENCE
from .reconnect import RECONNECT
from .relay import RELAY
from .storage import STORAGE
from .turnover import TURNOVER
from .week import WEEK

__all__ = [
    "EVERY",
    "SCENARIOS",
    "STANDARD",
    "Figures",
    "Scenario",
    "percentiles",
    "times",
]

SCENARIOS: Sequence[Scenario] = (
    *FANOUT,
    *TURNOVER,
    *PRESENCE,
    *JOINS,
    *RECONNECT,
    *ISOLATION,
    *MEMORY,
    *COLD,
    *RELAY,
    *STORAGE,
    *WEEK,
)
