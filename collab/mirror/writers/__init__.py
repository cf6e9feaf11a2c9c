"""Writers of whole rows, such as forms, that keep the changes of others (I17)."""

__all__: list[str] = []
