"""Asks the type of a document, on behalf of every way to it (I12)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from channels.db import database_sync_to_async
from pycrdt import Doc

from collab.access import Access
from collab.conf import get_settings
from collab.documents.document_type import DocumentType
from collab.documents.registry import ResolvedName, resolve

__all__ = ["TypeRules", "authorize", "call_hook", "default_access", "find_type_rules", "seed"]

logger = logging.getLogger("collab.access")

#: Consumers of which it was logged that they refuse everybody.
_reported: set[type] = set()


async def authorize(name: str, user: Any) -> Access | None:
    """Return what ``user`` may do with the document ``name``, or ``None`` if it has no type.

    Raises:
        MemberError: the type refuses with an error.
    """
    resolved = resolve(name)
    if resolved is None:
        return None
    access = await call_hook(resolved.document_type.authorize, user, **resolved.parameters)
    return Access(access)


def default_access(consumer: type) -> Access:
    """Return ``COLLAB["DEFAULT_ACCESS"]``, for a consumer that does not decide who may connect."""
    access = Access[get_settings().DEFAULT_ACCESS.upper()]
    if access == Access.NONE and consumer not in _reported:
        _reported.add(consumer)
        logger.error(
            "%s refuses everybody: nothing decides who may connect. Override authorize(), give a "
            "LiveConsumer permission_classes, or register a document type for the name; "
            'COLLAB["DEFAULT_ACCESS"] = "write" lets everybody in.',
            consumer.__qualname__,
        )
    return access


async def seed(name: str, doc: Doc[Any]) -> None:
    """Fill the new document ``name`` as its type says."""
    if (resolved := resolve(name)) is not None:
        await call_hook(resolved.document_type.seed, doc, **resolved.parameters)


class TypeRules:
    """The rules of a document's type, for the engine; see ``DocumentRules`` there."""

    def __init__(self, resolved: ResolvedName) -> None:
        self._type, self._parameters = resolved

    async def presence(self, user: Any) -> dict[str, Any] | None:
        """Return what the type says of ``user`` to others."""
        if type(self._type).presence is DocumentType.presence:
            return None
        found: dict[str, Any] | None = await call_hook(
            self._type.presence, user, **self._parameters
        )
        return found


def find_type_rules(name: str) -> TypeRules | None:
    """Return the rules of the document ``name``, if it has a type."""
    resolved = resolve(name)
    return None if resolved is None else TypeRules(resolved)


async def call_hook(hook: Callable[..., Any], *args: Any, **parameters: Any) -> Any:
    """Return what a method of a document type returns, sync or async."""
    if iscoroutinefunction(hook):
        return await hook(*args, **parameters)
    return await database_sync_to_async(hook)(*args, **parameters)
