"""Template tags and filters."""

__all__: list[str] = []
