"""Parts of a document: single blocks, and texts that are found and replaced."""

__all__: list[str] = []
