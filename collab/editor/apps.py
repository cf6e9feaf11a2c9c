from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class EditorConfig(AppConfig):
    name = "collab.editor"
    label = "collab_editor"
    verbose_name = _("Collaborative editor")

    def ready(self) -> None:
        """Register the documents of rows."""
        from collab.documents.checks import check_app

        from .document_types import register_row_documents

        register(check_app, "collab")
        register_row_documents()
