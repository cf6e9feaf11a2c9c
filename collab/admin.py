"""The storage's admin page of documents, which here knows of live rooms."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from collab_storage.exceptions import StorageError

from . import documents
from .documents import policy
from .exceptions import ContentError
from .history.admin import HistoryPages

__all__: list[str] = []

# Documents may be kept elsewhere than in the database.
if apps.is_installed("collab_storage"):
    from collab_storage.admin import SHOWN, DocumentAdmin
    from collab_storage.models import Document

    admin.site.unregister(Document)

    @admin.register(Document)
    class LiveDocumentAdmin(HistoryPages, DocumentAdmin):
        """Closes the rooms of a document that is deleted, and shows who has it open."""

        def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
            """Add the page, the users and the history."""
            first, *others = self.fields
            return [first, "page", "present", "versions_link", *others]

        def delete_document(self, document: Document) -> None:
            documents.delete(document.name)

        @admin.display(description=_("page"), empty_value="-")
        def page(self, document: Document) -> SafeString | None:
            """Link to the page that shows the document, if its type knows one."""
            url = async_to_sync(policy.absolute_url)(document.name)
            return None if url is None else format_html('<a href="{}">{}</a>', url, url)

        @admin.display(description=_("open for"), empty_value="-")
        def present(self, document: Document) -> str | None:
            """Name the users who have the document open."""
            found = documents.present(document.name)
            keys = [user.user_id for user in found if user.user_id is not None]
            users = get_user_model()._default_manager.filter(pk__in=keys)
            names = [str(user) for user in users]
            names += [str(_("anonymous user")) for user in found if user.user_id is None]
            return ", ".join(names) or None

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
