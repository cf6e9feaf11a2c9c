"""The storage's pages in Django's admin, which here know of live rooms, types and users."""

from __future__ import annotations

from django.apps import apps

__all__: list[str] = []

# Documents may be kept elsewhere than in the database.
if apps.is_installed("collab_storage"):
    from collab.admin import documents, refusals  # noqa: F401
