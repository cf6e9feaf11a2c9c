"""Keeps rooms of one document in different processes equal."""

__all__: list[str] = []
