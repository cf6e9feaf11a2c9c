"""One live document: its Doc, its members, their presence, and the flush."""

__all__: list[str] = []
