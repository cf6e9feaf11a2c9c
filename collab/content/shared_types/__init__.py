"""Content in Yjs' shared types: how editors lay it out, read and written with small edits."""

__all__: list[str] = []
