from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EditorConfig(AppConfig):
    name = "collab.editor"
    label = "collab_editor"
    verbose_name = _("Collaborative editor")

    def ready(self) -> None:
        """Register the documents of rows."""
        from .document_types import register_row_documents

        register_row_documents()
