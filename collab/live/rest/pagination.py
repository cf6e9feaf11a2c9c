"""Pagination by ``limit`` and ``offset``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet

from collab.live.errors import CallError

__all__ = ["WebsocketLimitOffsetPagination"]


class WebsocketLimitOffsetPagination:
    """Returns one page of a queryset; create an instance for each page."""

    #: Rows on a page if the client sets no limit.
    default_limit: ClassVar[int] = 25
    #: At most this many rows on a page.
    max_limit: ClassVar[int] = 1000

    def paginate_queryset(
        self, queryset: QuerySet[Any], limit: Any = None, offset: Any = None, **kwargs: Any
    ) -> Sequence[Any]:
        """Return the rows of a page.

        Raises:
            CallError: 400, ``limit`` or ``offset`` is not valid.
        """
        asked = self.default_limit if limit is None else _number("limit", limit, 1)
        self.limit = min(asked, self.max_limit)
        self.offset = 0 if offset is None else _number("offset", offset, 0)
        self.count = queryset.count()
        if self.offset >= self.count:
            # Databases refuse numbers that are larger than theirs.
            return []
        if not queryset.ordered:
            # Without an order, a row may be on two pages or on none.
            queryset = queryset.order_by("pk")
        return list(queryset[self.offset : self.offset + self.limit])

    def get_paginated_response(self, data: Any) -> dict[str, Any]:
        """Return the data of the answer."""
        numbers = {"limit": self.limit, "offset": self.offset}
        return {"count": self.count, "results": data, **numbers}


def _number(name: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise CallError(400, {name: [f"Expected a number, {least} or more."]})
    return value
