"""Rows whose texts are documents: their fields, and assignments to them."""

__all__: list[str] = []
