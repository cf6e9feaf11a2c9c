"""Access of a member to a document."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Access"]


class Access(IntEnum):
    """Access to a document, in ascending order: ``access >= Access.READ`` is true for writers."""

    NONE = 0
    READ = 1
    WRITE = 2

    @property
    def label(self) -> str:
        """The word clients see: ``none``, ``read`` or ``write``."""
        return self.name.lower()
