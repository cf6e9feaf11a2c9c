"""Documents that are live in this process."""

__all__: list[str] = []
