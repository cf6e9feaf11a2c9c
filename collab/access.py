"""What a member may do in a room."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Access"]


class Access(IntEnum):
    """Ordered, so that ``access >= Access.READ`` reads as it should."""

    NONE = 0
    READ = 1
    WRITE = 2

    @property
    def label(self) -> str:
        """The word clients see: ``none``, ``read`` or ``write``."""
        return self.name.lower()
