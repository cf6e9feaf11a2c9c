"""A week of typing in the storage."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from bench.servers import Contestant, Running
from bench.week import week_file

from .base import Figures, Scenario, times

__all__ = ["WEEK", "Week"]


@dataclass(frozen=True, kw_only=True)
class Week(Scenario):
    """A log of a row for each keystroke is stored, and folded into a snapshot at once.

    Args:
        keystrokes: of five people, in one document.
    """

    keystrokes: int
    starts_anew: ClassVar[bool] = True

    def scaled(self, factor: float) -> Self:
        return replace(self, keystrokes=times(self.keystrokes, factor))

    def suits(self, contestant: Contestant) -> bool:
        return contestant.is_stored and not contestant.is_peer

    async def measure(self, server: Running) -> Sequence[Figures]:
        file = await asyncio.to_thread(week_file, self.keystrokes)
        code = f"from bench.stored import print_week\nprint_week({str(file)!r})"
        figures: Figures = json.loads(await asyncio.to_thread(server.run_code, code))
        return [figures]


WEEK = (
    Week(
        name="week",
        title="a week of typing, 200,000 keystrokes, appended and compacted",
        servers=("collab", "collab-postgres"),
        deadline=120.0,
        keystrokes=200_000,
    ),
)
