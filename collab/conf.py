"""The project's ``COLLAB`` settings: read on first use, and again after a test has changed them."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from channels import DEFAULT_CHANNEL_LAYER
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from collab_storage.base import Storage

__all__ = ["Settings", "get_settings", "get_storage", "has_shared_layer", "unknown_settings"]

KiB = 1024
MiB = 1024 * KiB


def _default_storage() -> dict[str, Any]:
    return {"BACKEND": "collab_storage.orm.ORMStorage", "OPTIONS": {}}


def _default_spool() -> Path:
    base = getattr(django_settings, "BASE_DIR", None)
    return Path(base or tempfile.gettempdir()) / "collab-spool"


def _default_access() -> Literal["none", "write"]:
    return "write" if django_settings.DEBUG else "none"


def _default_frontend() -> Path:
    return Path(getattr(django_settings, "BASE_DIR", None) or Path.cwd()) / "channels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The keys of the ``COLLAB`` setting with their defaults; sizes in bytes, times in seconds.

    Every limit is finite: a frame or update beyond one is refused or delayed, which concerns its
    sender only.
    """

    #: The storage of documents: the dotted path of a Storage and its keyword arguments.
    STORAGE: Mapping[str, Any] = field(default_factory=_default_storage)

    #: Largest frame a member may send.
    MAX_FRAME_SIZE: int = 16 * MiB
    #: Largest text frame, and all calls together that wait for their turn. JSON takes much more
    #: space once it is read.
    MAX_TEXT_SIZE: int = 1 * MiB
    #: Largest document; an update that would make it larger is refused.
    MAX_DOCUMENT_SIZE: int = 64 * MiB
    #: Largest presence state (user name, cursor) of one client id.
    MAX_PRESENCE_SIZE: int = 64 * KiB
    #: Rooms open in this process.
    MAX_ROOMS: int = 10_000
    #: Members of one room in this process.
    MAX_ROOM_MEMBERS: int = 2_000
    #: Connections of one user, and of one address, to this process.
    MAX_USER_CONNECTIONS: int = 100
    MAX_ADDRESS_CONNECTIONS: int = 1_000
    #: Proxies in front of the server that append to X-Forwarded-For; the client's address is
    #: at this place from the right in that header.
    TRUSTED_PROXIES: int = 0
    #: Updates kept for a member that reads slowly; beyond it the member gets one full state.
    MAX_MEMBER_BACKLOG: int = 1 * MiB
    #: Shared types inside each other; an update that would bring more is refused. pycrdt needs
    #: stack for each, and so does Yjs.
    MAX_NESTING: int = 500
    #: Updates kept for a member that sends them before updates that they depend on; beyond it the
    #: member is disconnected.
    MAX_PENDING: int = 1 * MiB
    #: Updates of this process that wait for the storage; beyond it new ones are refused.
    MAX_UNSAVED: int = 64 * MiB

    #: Frames and bytes that a member may send per second on average, and at once. The server reads
    #: more slowly from a member that sends more.
    MESSAGE_RATE: float = 1_000
    MESSAGE_BURST: int = 4_000
    BYTE_RATE: float = 4 * MiB
    BYTE_BURST: int = 32 * MiB

    #: A member that has sent no frame this long after it joined is disconnected.
    FIRST_FRAME_TIMEOUT: float = 30
    #: A member that reads nothing for this long is disconnected.
    SEND_TIMEOUT: float = 60
    #: Least time between two writes to the storage; single updates wait for others, 2 s at most.
    WRITE_DELAY: float = 0.05
    #: A room stays loaded for this long after its last member left.
    UNLOAD_DELAY: float = 30
    #: A room drops its Doc, and keeps the document as bytes, when nothing has changed for this
    #: long, and as long again for each MiB of them.
    SLEEP_DELAY: float = 10
    #: A connection that ends waits at most this long until its updates are stored.
    CLOSE_TIMEOUT: float = 10
    #: Interval between polls of the storage for updates that live rooms have missed.
    RELAY_STORAGE_INTERVAL: float = 10
    #: Access of every user to documents that have no type, where the consumer does not decide
    #: it: "none", "read" or "write". By default "write" while DEBUG, else "none".
    DEFAULT_ACCESS: Literal["none", "read", "write"] = field(default_factory=_default_access)
    #: Interval between access checks of a member, ended sessions included.
    ACCESS_CHECK_INTERVAL: float = 60
    #: Access that cannot be checked, as while the database is away, stays as it was for at most
    #: so long; then the member is disconnected.
    ACCESS_GRACE: float = 300
    #: A process that is about to end closes its connections over this time.
    DRAIN_TIME: float = 3
    #: Directory for updates that a process cannot store before its end; the next start stores them.
    SPOOL_DIRECTORY: str | os.PathLike[str] = field(default_factory=_default_spool)
    #: Delay until a member's changes of rows in documents are saved, and until text is saved after
    #: the last keystroke.
    ROWS_DELAY: float = 0.05
    ROWS_TEXT_DELAY: float = 1
    #: Subscriptions of one live connection.
    LIVE_MAX_SUBSCRIPTIONS: int = 100
    #: Directory into which ``makefrontend`` writes TypeScript.
    LIVE_FRONTEND_DIR: str | os.PathLike[str] = field(default_factory=_default_frontend)
    #: Length of a document's log, in updates, at which it is compacted.
    COMPACT_AFTER: int = 500


def _configured() -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", getattr(django_settings, "COLLAB", {}))


def unknown_settings() -> list[str]:
    """Return the keys of ``COLLAB`` that are not settings."""
    return sorted(set(_configured()) - {setting.name for setting in fields(Settings)})


@cache
def get_settings() -> Settings:
    """Return the project's settings.

    Raises:
        ImproperlyConfigured: ``COLLAB`` has a key that is not a setting.
    """
    if unknown := unknown_settings():
        raise ImproperlyConfigured(f"Unknown keys in settings.COLLAB: {', '.join(unknown)}.")
    return Settings(**_configured())


def get_storage() -> Storage:
    """Return the project's storage, the same to every thread.

    Raises:
        ImproperlyConfigured: the backend cannot be imported or refuses its options.
    """
    with _storage_lock:
        return _make_storage()


_storage_lock = threading.Lock()


@cache
def _make_storage() -> Storage:
    configured = get_settings().STORAGE
    try:
        backend = import_string(configured["BACKEND"])
        return cast("Storage", backend(**configured.get("OPTIONS", {})))
    except (KeyError, ImportError, TypeError) as error:
        raise ImproperlyConfigured(
            "settings.COLLAB['STORAGE'] needs a BACKEND that can be imported, and OPTIONS that it"
            f" accepts: {error}"
        ) from error


def has_shared_layer() -> bool:
    """Return whether processes share the channel layer, as far as its class shows."""
    layers = getattr(django_settings, "CHANNEL_LAYERS", {})
    backend = layers.get(DEFAULT_CHANNEL_LAYER, {}).get("BACKEND")
    return backend not in (None, "channels.layers.InMemoryChannelLayer")


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "COLLAB":
        get_settings.cache_clear()
        _make_storage.cache_clear()


setting_changed.connect(_forget)
