"""Events: publishing, groups, replay and encoding."""

__all__: list[str] = []
