"""Access and content rules of a state, which a consumer overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["StateRules"]


class StateRules:
    """Default answers: nobody may open the document or change its rows.

    Except for :meth:`has_permission`, all rules are class methods, as they are asked for
    documents and not for connections. They get the URL's arguments by name, as numbers and
    texts. For a list whose documents are per user, they also get ``user``.
    """

    def has_permission(self, user: Any, *args: Any, **kwargs: Any) -> Any:
        """Return whether ``user`` may open the document; by default nobody may.

        An override may be ``async``; one that is not runs in a thread, where it may query.
        """
        return False

    @classmethod
    def get_instance_id(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the primary key of the root row; by default the URL's first argument."""
        return next(iter(kwargs.values()), None)

    @classmethod
    def list_instances(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the root rows in order: a queryset, or their primary keys."""
        raise NotImplementedError(f"{cls.__name__} needs list_instances().")

    @classmethod
    def is_visible(cls, instance: Any, *args: Any, **kwargs: Any) -> Any:
        """Return whether a saved root row can be in the list; asked because of ``auto_update``.

        If not, ``list_instances()`` is not queried for it; if so, ``list_instances()`` decides.
        """
        return True

    @classmethod
    def get_initial(
        cls, user: Any, serializer_class: Any, *args: Any, **kwargs: Any
    ) -> Mapping[str, Any]:
        """Return attributes of a row that ``user`` creates, beside the values from the client.

        The foreign key to a document's only root row, and the ``user_key``, are set anyway.
        """
        return {}

    @classmethod
    def can_save(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> Any:
        """Return whether ``user`` may save ``data`` to ``instance``; by default nobody may."""
        return False

    @classmethod
    def can_create(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> Any:
        """Return whether ``user`` may create ``instance``; by default nobody may.

        ``instance`` is unsaved and has the values of :meth:`get_initial`; the rest is in ``data``.
        """
        return False

    @classmethod
    def can_delete(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> Any:
        """Return whether ``user`` may delete ``instance``; by default nobody may."""
        return False
