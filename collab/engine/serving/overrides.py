"""Finds attributes of a consumer class that take the place of a documented name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["EVENT_METHODS", "FRAME_METHODS", "check_overrides", "documented", "overrides"]

#: Methods of a consumer that see each frame, and those that see each other event of its client.
#: While a project overrides none of them, they are not called: that costs more than most events.
FRAME_METHODS = ("dispatch", "websocket_receive", "receive")
EVENT_METHODS = ("dispatch", "websocket_connect", "websocket_disconnect")

#: Names that the server does not look up, and the remedy for overriding them.
_FINAL: Mapping[str, str] = {
    "access": "return the client's access from authorize()",
    "recheck_access": "override authorize(), which each recheck calls",
}
_STORAGES = (None, "default")


def check_overrides(cls: type) -> None:
    """Check the attributes that a project's class has in place of documented ones.

    Raises:
        TypeError: one would never be used, or is not a method although the documented one is.
    """
    for name, value in vars(cls).items():
        found = documented(cls, name)
        if found is None:
            continue
        if name in _FINAL:
            raise TypeError(
                f"{cls.__qualname__}.{name} would never be used: {_FINAL[name]} instead."
            )
        if _is_method(found) and not _is_method(value):
            raise TypeError(
                f"{cls.__qualname__}.{name} takes the place of the method {name}() of consumers:"
                " rename it."
            )
        if name == "storage" and value not in _STORAGES:
            raise TypeError(
                f'{cls.__qualname__}.storage is neither "default" nor None (a room in memory'
                ' only): rename it. COLLAB["STORAGE"] chooses the storage.'
            )


def documented(cls: type, name: str) -> Any:
    """Return the attribute of the server or of Channels that ``cls`` inherits as ``name``.

    It is ``None`` for names that start with an underscore, and for names that are free.
    """
    if name.startswith("_"):
        return None
    for base in cls.__mro__[1:]:
        if name in vars(base):
            is_ours = base.__module__.partition(".")[0] in ("collab", "channels")
            return vars(base)[name] if is_ours else None
    return None


def overrides(consumer: object, base: type, *names: str) -> bool:
    """Return whether the class of a consumer has any of these methods in place of ``base``'s."""
    cls = type(consumer)
    if cls is not base:
        for name in names:
            if getattr(cls, name) is not getattr(base, name):
                return True
    return False


def _is_method(value: Any) -> bool:
    return callable(value) or isinstance(value, classmethod | staticmethod)
