"""From a saved row to an update of the document."""

__all__: list[str] = []
