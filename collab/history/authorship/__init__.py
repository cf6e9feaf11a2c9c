"""Authors of documents: their shares, and the author of each letter."""

__all__: list[str] = []
