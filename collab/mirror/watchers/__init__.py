"""Follow the mirrored maps of live rooms."""

__all__: list[str] = []
