"""All rooms of an event loop: opening, joining, upkeep, unloading."""

__all__: list[str] = []
