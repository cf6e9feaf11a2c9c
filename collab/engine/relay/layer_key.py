"""Names and tokens that keep projects apart which share a channel layer.

Two projects on one Redis with Channels' default prefix would otherwise read each other's documents
of the same name. The key is derived from ``SECRET_KEY`` and the database alias of the storage, so
all processes of a project have the same.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS

from collab.conf import get_settings

__all__ = ["layer_group", "layer_token"]


def layer_group(kind: str, name: str) -> str:
    """Return this project's group of the channel layer for something of that kind and name."""
    return f"collab.{kind}.{_digest(f'group {kind} {name}')}"


@cache
def layer_token() -> str:
    """Return the mark of this project's messages."""
    return _digest("token")[:16]


@cache
def _key() -> bytes:
    options = get_settings().STORAGE.get("OPTIONS", {})
    alias = options.get("using", DEFAULT_DB_ALIAS)
    secret = str(django_settings.SECRET_KEY).encode()
    return hmac.digest(secret, f"collab channel layer {alias}".encode(), hashlib.sha256)


def _digest(text: str) -> str:
    return hmac.new(_key(), text.encode(), hashlib.sha256).hexdigest()


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting in ("SECRET_KEY", "COLLAB"):
        _key.cache_clear()
        layer_token.cache_clear()


setting_changed.connect(_forget)
