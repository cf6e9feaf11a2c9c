"""What has changed between two contents."""

__all__: list[str] = []
