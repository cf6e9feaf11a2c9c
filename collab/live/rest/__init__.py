"""REST framework's generics, mixins and views on a connection."""

__all__: list[str] = []
