"""Rows, their relations and texts as values of a shared map."""

__all__: list[str] = []
