"""Rows whose texts are documents: which fields they are, and what is assigned to them."""

__all__: list[str] = []
