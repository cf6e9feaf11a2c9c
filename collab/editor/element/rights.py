"""Rights of a page's user in a document, by the policy of the document (I12)."""

from __future__ import annotations

from typing import Any

from collab.access import Access, granted_access
from collab.conf import get_settings
from collab.documents import policy
from collab.documents.registry import resolve
from collab.engine.serving.refusals import refusal_of

__all__ = ["access_to", "typed_access"]


async def typed_access(name: str, user: Any) -> Access | None:
    """Return the access of ``user`` by the document's type; ``None`` without a type."""
    if resolve(name) is None:
        return None
    try:
        access = await policy.authorize(name, user)
    except Exception as error:
        if refusal_of(error, None) is None:
            raise
        return Access.NONE
    return access


async def access_to(name: str, user: Any, token: str = "") -> Access:
    """Return the access of ``user`` to a document, with the grant of a page if there is one."""
    access = await typed_access(name, user)
    if access is None:
        access = Access[get_settings().DEFAULT_ACCESS.upper()]
    return max(access, granted_access(token, name)) if token else access
