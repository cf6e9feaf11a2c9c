"""The page of documents."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from collab import documents
from collab.admin.rendering import admin_link, content_html, named_users, page_link
from collab.documents import policy
from collab.exceptions import DocumentNotFound
from collab.history.admin import HistoryPages
from collab_storage.admin import DocumentAdmin
from collab_storage.exceptions import StorageError
from collab_storage.models import Document, RefusedState

__all__ = ["LiveDocumentAdmin"]

admin.site.unregister(Document)


@admin.register(Document)
class LiveDocumentAdmin(HistoryPages, DocumentAdmin):
    """Closes the rooms of a document that is deleted, and shows who has it open.

    The content is shown to users whom the document's type lets read it.
    """

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Add the page, the users, the history and the refused changes."""
        first, *others = self.fields
        return [first, "page", "present", "versions_link", *others, "refused"]

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return a document, for the user whose page shows it."""
        document: Any = super().get_object(request, *args, **kwargs)
        if document is not None:
            document.viewer = request.user
        return document

    def delete_document(self, document: Document) -> None:
        documents.delete(document.name)

    @admin.display(description=_("page"), empty_value="-")
    def page(self, document: Document) -> SafeString | None:
        """Link to the page that shows the document, if its type knows one."""
        return page_link(document.name)

    @admin.display(description=_("open for"), empty_value="-")
    def present(self, document: Document) -> str | None:
        """Name the users who have the document open."""
        return named_users(user.user_id for user in documents.present(document.name))

    @admin.display(description=_("refused changes"), empty_value="-")
    def refused(self, document: Document) -> SafeString | None:
        """Link to the changes of the document that its type has refused."""
        count = RefusedState.objects.filter(name=document.name).count()
        query = "?" + urlencode({"name__exact": document.name})
        return admin_link("refusedstate_changelist", str(count), query=query) if count else None

    @admin.display(description=_("content"))
    def content(self, document: Any) -> SafeString:
        """Show the document as its type says that it is read."""
        if not policy.may_read(document.name, document.viewer):
            return format_html("{}", _("You may not read this document."))
        try:
            html = content_html(document.name, documents.read(document.name).get_update())
        except (DocumentNotFound, StorageError):
            html = None
        # Its bytes can be shown when its content cannot.
        return super().content(document) if html is None else html
