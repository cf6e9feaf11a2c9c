"""Changes that meet rows which were removed, moved or refreshed meanwhile."""

__all__: list[str] = []
