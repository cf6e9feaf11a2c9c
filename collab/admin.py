"""The storage's admin page of documents, which here knows of live rooms."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin

from . import documents

__all__: list[str] = []

# Documents may be kept elsewhere than in the database.
if apps.is_installed("collab_storage"):
    from collab_storage.admin import DocumentAdmin
    from collab_storage.models import Document

    admin.site.unregister(Document)

    @admin.register(Document)
    class LiveDocumentAdmin(DocumentAdmin):
        """Closes the rooms of a document that is deleted, in all processes."""

        def delete_document(self, document: Document) -> None:
            documents.delete(document.name)
