"""Yjs update bytes: reading, checking, splitting and merging them."""

__all__: list[str] = []
