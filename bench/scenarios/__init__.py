"""What servers are put into: one module for each kind of situation."""

from __future__ import annotations

from collections.abc import Sequence

from .base import EVERY, STANDARD, Figures, Scenario, percentiles, times
from .fanout import FANOUT
from .memory import MEMORY
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

SCENARIOS: Sequence[Scenario] = (*FANOUT, *MEMORY, *WEEK)
