"""State that a consumer declares: rows and relations in one document."""

__all__: list[str] = []
