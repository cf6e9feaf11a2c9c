"""Requests of clients: actions, their arguments, results and order."""

__all__: list[str] = []
