"""Writers of whole texts and rows that keep the changes of others (I17)."""

__all__: list[str] = []
