"""Texts of the element, and its user."""

__all__: list[str] = []
