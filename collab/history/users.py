"""Names of users, whose keys the history has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model

__all__ = ["user_names"]


def user_names(keys: Iterable[str]) -> dict[str, str]:
    """Return the names of users by the text of their keys; of those that there still are."""
    field = get_user_model()._meta.pk
    valid: dict[Any, str] = {}
    for key in {*keys}:
        valid[field.to_python(key)] = key
    found = get_user_model()._default_manager.in_bulk([*valid])
    return {valid[key]: user.get_full_name() or str(user) for key, user in found.items()}
