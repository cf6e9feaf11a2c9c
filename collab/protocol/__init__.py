"""The wire: frames, sessions and Yjs update bytes, without input or output."""

__all__: list[str] = []
