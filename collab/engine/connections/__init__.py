"""One connection: its path past ASGI, its rate limits, its turn to join."""

__all__: list[str] = []
