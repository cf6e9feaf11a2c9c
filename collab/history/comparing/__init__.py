"""Comparisons of two states of a document by content."""

__all__: list[str] = []
