"""Identity of a connection: its user and its session."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

__all__ = ["belongs_to", "session_digest"]


def session_digest(key: str) -> str:
    """Return a digest that identifies a session to other processes; its key is a secret."""
    return hashlib.sha256(f"collab:{key}".encode()).hexdigest()


def belongs_to(scope: Mapping[str, Any], user_id: str | None, session: str | None) -> bool:
    """Return whether a connection is of this user, or of the session of this digest."""
    if user_id is not None and str(getattr(scope.get("user"), "pk", None)) == user_id:
        return True
    key = getattr(scope.get("session"), "session_key", None)
    return session is not None and key is not None and session_digest(key) == session
