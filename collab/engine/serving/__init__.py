"""Serving one client: its frames, its access, its events of the channel layer, its end."""

__all__: list[str] = []
