"""Names of users, whose keys the history has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model

from collab.documents.changes.change import user_keys
from collab_storage.versions import Version

__all__ = ["display_name", "names_in", "user_names"]


def display_name(user: Any) -> str:
    """Return the name of a user as others see it: the full name, if the model has one."""
    return str(getattr(user, "get_full_name", str)() or user)


def user_names(keys: Iterable[str | None]) -> dict[str, str]:
    """Return the names of users by the text of their keys; of those that there still are.

    ``None`` is a user who is not known, and has no name.
    """
    valid = user_keys(filter(None, {*keys}))
    found = get_user_model()._default_manager.in_bulk([*valid])
    return {valid[key]: display_name(user) for key, user in found.items()}


def names_in(versions: Iterable[Version]) -> dict[str, str]:
    """Return the names of the users who have made versions, or changes in them."""
    return user_names(key for version in versions for key in (*version.by, version.made_by))
