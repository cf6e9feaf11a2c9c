"""From a client's change to a saved row."""

__all__: list[str] = []
