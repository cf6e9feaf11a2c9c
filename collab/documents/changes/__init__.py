"""Calls the project when documents have changed: at least once, by one process at a time."""

__all__: list[str] = []
