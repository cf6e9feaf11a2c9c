"""System checks of collaborative fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from collab.editor.options import EDITORS

__all__ = ["check_field"]


def check_field(field: Any) -> Iterator[CheckMessage]:
    """Check the editor of a field, its model, and that the project serves it (E040 to E044)."""
    if field.editor not in EDITORS:
        text = _("'editor' must be one of %(editors)s, not %(given)r.")
        values = {"editors": ", ".join(EDITORS), "given": field.editor}
        yield Error(text % values, obj=field, id="collab.E040")
    if not apps.is_installed("collab.editor"):
        text = _("The app that serves the documents of collaborative fields is not installed.")
        hint = _('Add "collab.editor" to INSTALLED_APPS.')
        yield Error(text, hint=hint, obj=field, id="collab.E041")
    if field.primary_key or len(field.model._meta.pk_fields) > 1:
        text = _("A model with collaborative fields needs one other field as its primary key.")
        yield Error(text, obj=field, id="collab.E042")
    if field.history and not _has_history_urls():
        text = _("The field has 'history', and no URL has the versions.")
        hint = _('Add path("history/", include("collab.history.urls")) to the urlpatterns.')
        yield Error(text, hint=hint, obj=field, id="collab.E043")
    if _is_of_tenants(field.model):
        text = _(
            "Rows of two tenants with the same key would have one document: names of documents of"
            " collaborative fields have no tenant."
        )
        hint = _('Keep the model out of TENANT_APPS; see "Tenants" in docs/storage.md.')
        yield Error(text, hint=hint, obj=field, id="collab.E044")


def _has_history_urls() -> bool:
    try:
        reverse("collab_history:versions", args=["a"])
    except NoReverseMatch:
        return False
    return True


def _is_of_tenants(model: Any) -> bool:
    """Return whether django-tenants has a table of the model for each tenant."""
    app: str = model._meta.app_config.name
    entries: list[str] = getattr(settings, "TENANT_APPS", [])
    return any(entry == app or entry.startswith(f"{app}.apps.") for entry in entries)
