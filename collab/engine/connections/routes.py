"""The parts of an ASGI application: routers, middleware, consumers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CellType, FunctionType
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter

__all__ = ["Route", "applications", "routes"]

_EMPTY_CELL = CellType()


@dataclass(frozen=True, slots=True)
class Route:
    """A way through an application.

    Args:
        application: what it leads to.
        patterns: of the URL's parts, in their order; Django's.
    """

    application: object
    patterns: tuple[Any, ...] = ()


def applications(application: object) -> Iterator[object]:
    """Yield ``application`` and all that it may pass a websocket on to, as far as can be seen.

    A consumer is among them as what its ``as_asgi()`` returned, which has a ``consumer_class``.
    """
    return (route.application for route in routes(application))


def routes(application: object) -> Iterator[Route]:
    """Yield the ways to ``application`` and to all that it may pass a websocket on to.

    Each is there once, by the first way to it, in the order of the routers.
    """
    seen: set[int] = set()
    waiting = [Route(application)]
    while waiting:
        route = waiting.pop()
        if id(route.application) in seen or isinstance(route.application, type):
            continue
        seen.add(id(route.application))
        yield route
        waiting += reversed([*_onwards(route)])


def _onwards(route: Route) -> Iterator[Route]:
    if isinstance(route.application, URLRouter):
        for onward in route.application.routes:
            yield Route(onward.callback, (*route.patterns, onward.pattern))
    else:
        for inner in _inner_applications(route.application):
            yield Route(inner, route.patterns)


def _inner_applications(application: object) -> Iterable[object]:
    if hasattr(application, "consumer_class"):
        return []
    if isinstance(application, ProtocolTypeRouter):
        return [application.application_mapping.get("websocket")]
    if isinstance(application, FunctionType):
        return [cell.cell_contents for cell in application.__closure__ or () if cell != _EMPTY_CELL]
    # Middleware keeps it in an attribute, whose name is its own affair.
    return [value for value in getattr(application, "__dict__", {}).values() if callable(value)]
