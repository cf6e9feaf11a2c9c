"""Actions of a ``GenericAsyncAPIConsumer``, like those of REST framework's views."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

from channels.db import database_sync_to_async
from rest_framework import status

from collab.live.actions.actions import action
from collab.live.connections.live_connection import ConnectionPart, connection_of
from collab.live.rest.generics import GenericAsyncAPIConsumer
from collab.live.rest.pagination import WebsocketLimitOffsetPagination

if TYPE_CHECKING:
    _Base = GenericAsyncAPIConsumer
else:
    _Base = object

__all__ = [
    "CreateModelMixin",
    "DeleteModelMixin",
    "ListModelMixin",
    "PaginatedModelListMixin",
    "PatchModelMixin",
    "RetrieveModelMixin",
    "StreamedPaginatedListMixin",
    "UpdateModelMixin",
]

#: Data and status.
Answer = tuple[Any, int]
RequestId = str | float


class CreateModelMixin(_Base):
    """The action ``create``, with ``data``."""

    @action
    def create(self, data: dict[str, Any], **kwargs: Any) -> Answer:
        """Save a new row."""
        serializer = self.get_serializer(data=data, action_kwargs=kwargs)
        serializer.is_valid(raise_exception=True)
        self.perform_create(serializer, **kwargs)
        return serializer.data, status.HTTP_201_CREATED

    def perform_create(self, serializer: Any, **kwargs: Any) -> None:
        """Save the row of a valid serializer."""
        serializer.save()


class ListModelMixin(_Base):
    """The action ``list``, which returns all rows."""

    @action
    def list(self, **kwargs: Any) -> Answer:
        """Return all rows that pass the filter backends."""
        rows = self.filter_queryset(self.get_queryset(**kwargs), **kwargs)
        serializer = self.get_serializer(instance=rows, many=True, action_kwargs=kwargs)
        return serializer.data, status.HTTP_200_OK


class RetrieveModelMixin(_Base):
    """The action ``retrieve``, with ``pk`` or the ``lookup_field``."""

    @action
    def retrieve(self, **kwargs: Any) -> Answer:
        """Return a row."""
        row = self.get_object(**kwargs)
        serializer = self.get_serializer(instance=row, action_kwargs=kwargs)
        return serializer.data, status.HTTP_200_OK


class UpdateModelMixin(_Base):
    """The action ``update``, with ``pk`` and ``data`` for all fields."""

    @action
    def update(self, data: dict[str, Any], **kwargs: Any) -> Answer:
        """Replace the values of a row."""
        row = self.get_object(**kwargs)
        serializer = self.get_serializer(instance=row, data=data, action_kwargs=kwargs)
        serializer.is_valid(raise_exception=True)
        self.perform_update(serializer, **kwargs)
        return serializer.data, status.HTTP_200_OK

    def perform_update(self, serializer: Any, **kwargs: Any) -> None:
        """Save the row of a valid serializer."""
        serializer.save()


class PatchModelMixin(_Base):
    """The action ``patch``, with ``pk`` and ``data`` for some fields."""

    @action
    def patch(self, data: dict[str, Any], **kwargs: Any) -> Answer:
        """Change some values of a row."""
        row = self.get_object(**kwargs)
        serializer = self.get_serializer(
            instance=row, data=data, partial=True, action_kwargs=kwargs
        )
        serializer.is_valid(raise_exception=True)
        self.perform_patch(serializer, **kwargs)
        return serializer.data, status.HTTP_200_OK

    def perform_patch(self, serializer: Any, **kwargs: Any) -> None:
        """Save the row of a valid serializer."""
        serializer.save()


class DeleteModelMixin(_Base):
    """The action ``delete``, with ``pk``."""

    @action
    def delete(self, **kwargs: Any) -> Answer:
        """Delete a row."""
        row = self.get_object(**kwargs)
        self.perform_delete(row, **kwargs)
        return None, status.HTTP_204_NO_CONTENT

    def perform_delete(self, instance: Any, **kwargs: Any) -> None:
        """Delete a row."""
        instance.delete()


class PaginatedModelListMixin(_Base):
    """The action ``list`` by pages, with ``limit`` and ``offset``."""

    pagination_class: ClassVar[Any] = WebsocketLimitOffsetPagination

    @action
    def list(self, **kwargs: Any) -> Answer:
        """Return a page: ``count``, ``results``, ``limit`` and ``offset``."""
        return self._page(**kwargs), status.HTTP_200_OK

    def _page(self, **kwargs: Any) -> Any:
        rows = self.filter_queryset(self.get_queryset(**kwargs), **kwargs)
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(rows, **kwargs)
        serializer = self.get_serializer(instance=page, many=True, action_kwargs=kwargs)
        return paginator.get_paginated_response(serializer.data)


@dataclass(eq=False)
class StreamedLists(ConnectionPart):
    """The tasks that send lists of one connection page by page."""

    #: With the ids of their requests.
    tasks: dict[asyncio.Task[Any], RequestId | None] = field(default_factory=dict)

    async def forget_user(self) -> None:
        """Send the lists no further."""
        for task in self.tasks:
            task.cancel()


class StreamedPaginatedListMixin(PaginatedModelListMixin):
    """The action ``list``, which sends all pages one by one with its ``request_id``.

    The action ``list_cancel`` stops all running lists, or with ``list_id`` the one with this
    ``request_id``.
    """

    #: Seconds between two pages.
    sleep_time_between_pages: ClassVar[float] = 0

    @action(detached=True)
    async def list(self, request_id: RequestId | None = None, **kwargs: Any) -> None:  # type: ignore[override]
        """Send all pages, at the client's pace."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._lists[task] = request_id
        try:
            await self._send_pages(request_id, kwargs)
        finally:
            del self._lists[task]

    async def _send_pages(self, request_id: RequestId | None, kwargs: dict[str, Any]) -> None:
        while True:
            page = await database_sync_to_async(self._page)(request_id=request_id, **kwargs)
            await self.reply(kwargs["action"], page, request_id=request_id)
            kwargs["offset"] = page["offset"] + page["limit"]
            if kwargs["offset"] >= page["count"]:
                return
            await asyncio.sleep(self.sleep_time_between_pages)

    @action
    async def list_cancel(self, list_id: RequestId | None = None) -> Answer:
        """Stop sending pages."""
        for task, request_id in self._lists.items():
            if list_id in (None, request_id):
                task.cancel()
        return None, status.HTTP_200_OK

    @property
    def _lists(self) -> dict[asyncio.Task[Any], RequestId | None]:
        return connection_of(self).part(StreamedLists).tasks
