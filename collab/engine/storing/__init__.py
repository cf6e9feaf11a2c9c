"""Stores the updates of rooms, off the event loop."""

__all__: list[str] = []
