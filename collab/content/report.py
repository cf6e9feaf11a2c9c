"""Reports of content that was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """A part of the content that could not be kept.

    Args:
        dropped: parts that the schema lacks, such as ``"<iframe>"`` or ``"mark underline"``, and
            how often. The text inside is kept, except that of scripts and styles.
    """

    dropped: Mapping[str, int] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        """Whether anything was dropped."""
        return bool(self.dropped)
