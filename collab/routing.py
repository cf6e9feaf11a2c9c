"""What an ASGI application consists of: routers, middleware, consumers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CellType, FunctionType

from channels.routing import ProtocolTypeRouter, URLRouter

__all__ = ["applications"]

_EMPTY_CELL = CellType()


def applications(application: object) -> Iterator[object]:
    """Yield ``application`` and all that it may pass a websocket on to, as far as can be seen.

    A consumer is among them as what its ``as_asgi()`` returned, which has a ``consumer_class``.
    """
    seen: set[int] = set()
    waiting = [application]
    while waiting:
        application = waiting.pop()
        if id(application) in seen or isinstance(application, type):
            continue
        seen.add(id(application))
        yield application
        waiting += _inner_applications(application)


def _inner_applications(application: object) -> Iterable[object]:
    if hasattr(application, "consumer_class"):
        return []
    if isinstance(application, ProtocolTypeRouter):
        return [application.application_mapping.get("websocket")]
    if isinstance(application, URLRouter):
        return [route.callback for route in application.routes]
    if isinstance(application, FunctionType):
        return [cell.cell_contents for cell in application.__closure__ or () if cell != _EMPTY_CELL]
    # Middleware keeps it in an attribute, whose name is its own affair.
    return [value for value in getattr(application, "__dict__", {}).values() if callable(value)]
