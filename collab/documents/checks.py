"""System checks of document types."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.core.checks import CheckMessage, Error

from collab.documents.document_type import has_hooks, overrides
from collab.documents.registry import Registration, registrations
from collab.engine.connections.routes import full_name

__all__ = ["check_app", "check_document_types"]

#: A type needs one of these methods: without any, its documents cannot be opened.
_DECIDING = ("authorize", "access_for")


def check_app(**kwargs: object) -> list[CheckMessage]:
    """Check that the app of documents is installed; the apps of its parts register this (E033)."""
    if apps.is_installed("collab"):
        return []
    return [
        Error(
            "The app that finds document types and has the system checks and the commands is not"
            " installed.",
            hint='Add "collab" to INSTALLED_APPS.',
            id="collab.E033",
        )
    ]


def check_document_types(**kwargs: object) -> list[CheckMessage]:
    """Check the registered document types (E030 to E032)."""
    types = registrations()
    return [*_hidden(types), *_open(types), *_without_queue(types)]


def _hidden(types: list[Registration]) -> Iterator[CheckMessage]:
    for number, later in enumerate(types):
        for earlier in types[:number]:
            samples = later.pattern.samples()
            hidden = [name for name in samples if earlier.pattern.match(name) is not None]
            if hidden:
                yield Error(
                    f"Documents such as {hidden[0]!r} match the pattern '{later.pattern}' of"
                    f" {_label(later)}, but belong to {_label(earlier)}, whose pattern"
                    f" '{earlier.pattern}' is registered first.",
                    hint="Give the patterns different beginnings.",
                    id="collab.E030",
                )


def _open(types: list[Registration]) -> Iterator[CheckMessage]:
    for registration in types:
        if not overrides(type(registration.document_type), *_DECIDING):
            yield Error(
                f"{_label(registration)} does not say who may open its documents.",
                hint="Define authorize(self, user, ...), which returns an Access, or"
                " access_for(self, users, ...).",
                id="collab.E031",
            )


def _without_queue(types: list[Registration]) -> Iterator[CheckMessage]:
    if apps.is_installed("collab_storage"):
        return
    for registration in types:
        if has_hooks(type(registration.document_type)):
            yield Error(
                f"{_label(registration)} is called when its documents change, but changes"
                " are recorded in a table of collab_storage, which is not installed.",
                hint='Add "collab_storage" to INSTALLED_APPS, and run manage.py migrate.',
                id="collab.E032",
            )


def _label(registration: Registration) -> str:
    return full_name(type(registration.document_type))
