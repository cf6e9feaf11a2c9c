"""Follow saved rows: observers and subscriptions."""

__all__: list[str] = []
