from __future__ import annotations

from django.apps import AppConfig


class EditorConfig(AppConfig):
    name = "collab.editor"
    label = "collab_editor"
    verbose_name = "Collaborative editor"

    def ready(self) -> None:
        """Register the documents of rows."""
        from .document_types import register_row_documents

        register_row_documents()
