"""The schemas of editors, a table each, as the editors themselves say them."""

__all__: list[str] = []
