"""Writers of whole texts and rows that keep what others have changed meanwhile (I17)."""

__all__: list[str] = []
