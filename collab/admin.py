"""The storage's admin page of documents, which here knows of live rooms."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from collab_storage.exceptions import StorageError

from . import documents
from .exceptions import ContentError

__all__: list[str] = []

# Documents may be kept elsewhere than in the database.
if apps.is_installed("collab_storage"):
    from collab_storage.admin import SHOWN, DocumentAdmin
    from collab_storage.models import Document

    admin.site.unregister(Document)

    @admin.register(Document)
    class LiveDocumentAdmin(DocumentAdmin):
        """Closes the rooms of a document that is deleted, in all processes."""

        def delete_document(self, document: Document) -> None:
            documents.delete(document.name)

        @admin.display(description=_("content"))
        def content(self, document: Document) -> SafeString:
            """Show the document as its type says that it is read."""
            document_type = documents.type_of(document.name)
            if document_type is None or document_type.content is None:
                return super().content(document)
            try:
                html = documents.html(document.name)
            except (ContentError, StorageError):
                # Its bytes can be shown when its content cannot.
                return super().content(document)
            if len(html) > SHOWN:
                return super().content(document)
            return format_html("<div>{}</div>", mark_safe(html))
