"""Calls the methods of document types, so that one that hangs holds up its own type only."""

__all__: list[str] = []
