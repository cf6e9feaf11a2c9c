"""Declarations of a project: the parts of its ASGI application, and modules of its apps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.abc import InspectLoader
from importlib.util import find_spec
from types import CellType, FunctionType
from typing import Any, TypeVar

from channels.routing import ProtocolTypeRouter, URLRouter
from django.apps import AppConfig
from django.utils.module_loading import module_has_submodule

__all__ = ["Route", "consumers", "full_name", "routes", "source_of"]

T = TypeVar("T")

_EMPTY_CELL = CellType()


@dataclass(frozen=True, slots=True)
class Route:
    """A route through an application.

    Args:
        application: at its end.
        patterns: of the URL's parts, in their order; Django's.
    """

    application: object
    patterns: tuple[Any, ...] = ()


def consumers(
    kind: type[T], application: object, is_wanted: Callable[[Route], bool] = lambda route: True
) -> list[type[T]]:
    """Return the consumers of a kind in an application, in the order of their names.

    Args:
        kind: the base class.
        application: with the routes.
        is_wanted: returns whether a route counts.
    """
    found = {
        getattr(route.application, "consumer_class", None)
        for route in routes(application)
        if is_wanted(route)
    }
    ours = [each for each in found if each is not None and issubclass(each, kind)]
    return sorted(ours, key=full_name)


def full_name(cls: type) -> str:
    """Return the name of a class with that of its module."""
    return f"{cls.__module__}.{cls.__qualname__}"


def source_of(app: AppConfig, module: str) -> str:
    """Return the source of a module of an app, without importing it; empty if there is none."""
    name = f"{app.name}.{module}"
    spec = find_spec(name) if module_has_submodule(app.module, module) else None
    loader = getattr(spec, "loader", None)
    source = loader.get_source(name) if isinstance(loader, InspectLoader) else None
    return source or ""


def routes(application: object) -> Iterator[Route]:
    """Yield the routes to ``application`` and to each that it may pass a websocket on to.

    A consumer is among them as the result of its ``as_asgi()``, which has a ``consumer_class``.
    Each application occurs once, by the first route to it, in the order of the routers.
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
    # Middleware keeps the inner application in an attribute of any name.
    return [value for value in getattr(application, "__dict__", {}).values() if callable(value)]
