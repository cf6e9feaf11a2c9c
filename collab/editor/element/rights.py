"""Rights of a page's user in a document, by the policy of the document (I12) and of the page."""

from __future__ import annotations

from typing import Any

from collab.access import Access, granted_access
from collab.conf import get_settings
from collab.documents import policy

__all__ = ["access_to"]


async def access_to(name: str, user: Any, token: str = "") -> Access:
    """Return the access of ``user`` to a document, with the grant of a page if there is one."""
    access = await policy.aaccess_of(name, user)
    if access is None:
        access = Access[get_settings().DEFAULT_ACCESS.upper()]
    return max(access, granted_access(token, name)) if token else access
