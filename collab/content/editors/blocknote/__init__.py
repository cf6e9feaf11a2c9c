"""BlockNote: blocks in ProseMirror, and the JSON of blocks that is its own."""

__all__: list[str] = []
