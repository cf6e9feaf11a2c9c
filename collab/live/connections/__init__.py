"""One connection of a live channel: its calls, the groups it listens to, its answers."""

__all__: list[str] = []
