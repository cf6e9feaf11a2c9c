"""Versions: made, thinned out, read and restored."""

__all__: list[str] = []
