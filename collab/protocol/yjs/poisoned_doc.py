"""The error of an update that pycrdt cannot apply.

It has a module of its own, since the others are compiled and classes of exceptions must not be.
"""

from __future__ import annotations

__all__ = ["PoisonedDoc"]


class PoisonedDoc(Exception):
    """An update could not be applied, and the Doc may be broken by the attempt."""
