"""Texts of the element, and the rights of its user."""

__all__: list[str] = []
