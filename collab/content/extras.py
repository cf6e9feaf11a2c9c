"""Packages that come with the extra ``content``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from django.core.exceptions import ImproperlyConfigured

__all__ = ["require"]


def require(name: str) -> ModuleType:
    """Return an imported package.

    Raises:
        ImproperlyConfigured: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImproperlyConfigured(
            "Reading HTML and Markdown needs packages that are not installed:"
            " pip install 'django-collab[content]'"
        ) from error
