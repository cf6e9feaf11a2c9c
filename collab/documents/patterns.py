"""Patterns of document names, in the syntax of Django's ``path()``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.urls.converters import (
    IntConverter,
    PathConverter,
    SlugConverter,
    StringConverter,
    UUIDConverter,
)
from django.urls.resolvers import RoutePattern

from collab_storage.base import check_name

__all__ = ["NamePattern"]

_PARAMETER = re.compile(r"<(?:[^>:]+:)?(?P<name>[^>]+)>")

#: Texts that a converter accepts, to find patterns that accept the same names.
_SAMPLES: dict[type, tuple[str, ...]] = {
    IntConverter: ("0", "17"),
    StringConverter: ("17", "a", "a b"),
    SlugConverter: ("17", "a-b"),
    PathConverter: ("17", "a", "a/b", "a/17"),
    UUIDConverter: ("075194d3-6885-417e-a8a8-6c931e272f00",),
}


class NamePattern:
    """A pattern such as ``"notes/<int:pk>"``.

    Args:
        route: the pattern.

    Raises:
        ImproperlyConfigured: ``route`` is not valid, or begins with a slash.
    """

    def __init__(self, route: str) -> None:
        if route.startswith("/"):
            raise ImproperlyConfigured(
                f"The document pattern {route!r} begins with a slash; document names do not."
            )
        self.route = route
        self._pattern = RoutePattern(route, is_endpoint=True)
        #: Compiles the pattern, so that a mistake is found here.
        self._converters = self._pattern.converters

    def __str__(self) -> str:
        return self.route

    @property
    def prefix(self) -> str:
        """The text before the first parameter, with which every name of the pattern begins."""
        return self.route.split("<", 1)[0]

    def match(self, name: str) -> dict[str, Any] | None:
        """Return the converted parameters of ``name``, or ``None`` if it does not match."""
        found = self._pattern.match(name)
        if found is None:
            return None
        parameters: dict[str, Any] = found[2]
        # One document has one name: "notes/7" is a name, and "notes/007" is none.
        return parameters if self._format(self._texts(parameters)) == name else None

    def name(self, **parameters: object) -> str:
        """Return the name with ``parameters``.

        Raises:
            TypeError: a parameter is missing, or there is no such parameter.
            ValueError: no name with these parameters matches the pattern.
        """
        if parameters.keys() != self._converters.keys():
            expected = ", ".join(self._converters) or "no parameters"
            raise TypeError(f"The document pattern {self.route!r} takes {expected}.")
        name = check_name(self._format(self._texts(parameters)))
        if self.match(name) is None:
            raise ValueError(f"{name!r} does not match the document pattern {self.route!r}.")
        return name

    def samples(self) -> list[str]:
        """Return some names that match; none if a converter of the project's own is used."""
        texts = [
            [(name, text) for text in _SAMPLES.get(type(converter), ())]
            for name, converter in self._converters.items()
        ]
        names = [self._format(dict(chosen)) for chosen in product(*texts)]
        return [name for name in names if self.match(name) is not None]

    def _texts(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        return {name: self._converters[name].to_url(value) for name, value in parameters.items()}

    def _format(self, texts: dict[str, str]) -> str:
        return _PARAMETER.sub(lambda found: str(texts[found["name"]]), self.route)
