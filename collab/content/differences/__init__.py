"""Differences between two contents."""

__all__: list[str] = []
