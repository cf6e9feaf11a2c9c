"""A type that consumers of other apps use."""

from __future__ import annotations

from typing import TypedDict

__all__ = ["Deadline"]


class Deadline(TypedDict):
    days: int
