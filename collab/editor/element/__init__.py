"""Texts of the element, its user, and the rights of the user."""

__all__: list[str] = []
