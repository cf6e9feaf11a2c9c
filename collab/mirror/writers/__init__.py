"""Writers of whole rows, such as forms, that keep what others have changed meanwhile (I17)."""

__all__: list[str] = []
