"""The documents of :class:`collab_storage.orm.ORMStorage` in Django's admin, read-only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import async_to_sync
from django.contrib import admin
from django.db import router
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from .compaction import apply_stored
from .event_queue import retry
from .exceptions import StorageError
from .models import Document, DocumentQuerySet, EventLease
from .orm import ORMStorage
from .render import render_text
from .subdocuments import temporary_doc

if TYPE_CHECKING:
    BaseAdmin = admin.ModelAdmin[Document]
    LeaseAdmin = admin.ModelAdmin[EventLease]
else:
    BaseAdmin = LeaseAdmin = admin.ModelAdmin

__all__ = ["DocumentAdmin", "FailedChangeAdmin"]

#: Most characters of a document's content that are shown.
SHOWN = 100_000


@admin.register(Document)
class DocumentAdmin(BaseAdmin):
    """Lists documents and shows their content; they can be deleted, not changed."""

    list_display = ("name", "size", "changed", "log_length")
    search_fields: ClassVar = ("name",)
    # Deleting rows in bulk would bypass delete_document().
    actions = None
    fields = readonly_fields = (
        "name",
        "size",
        "log_length",
        "created_at",
        "changed",
        "content",
    )

    def delete_document(self, document: Document) -> None:
        """Delete ``document``; a subclass that knows of live documents closes them here."""
        async_to_sync(_storage(document).delete)(document.name)

    @admin.display(description=_("size"), ordering=F("snapshot_size") + F("log_size"))
    def size(self, document: Any) -> str:
        return filesizeformat(document.snapshot_size + document.log_size)

    @admin.display(description=_("last change"), ordering="changed_at")
    def changed(self, document: Any) -> datetime:
        at: datetime = document.changed_at
        return at

    @admin.display(description=_("updates in the log"), ordering="log_length")
    def log_length(self, document: Any) -> int:
        return int(document.log_length)

    @admin.display(description=_("content"))
    def content(self, document: Document) -> SafeString:
        text = self._text(document)
        if len(text) > SHOWN:
            text = f"{text[:SHOWN]}\n..."
        return format_html('<pre style="white-space: pre-wrap; overflow: auto">{}</pre>', text)

    def _text(self, document: Document) -> str:
        with temporary_doc() as doc:
            try:
                stored = async_to_sync(_storage(document).load)(document.name)
                if stored is not None:
                    apply_stored(doc, stored, document.name)
            except StorageError as error:
                return str(error)
            return render_text(doc)

    def get_queryset(self, request: HttpRequest) -> DocumentQuerySet:
        return Document.objects.with_sizes().defer("snapshot")

    def delete_model(self, request: HttpRequest, obj: Document) -> None:
        self.delete_document(obj)

    def get_deleted_objects(
        self, objs: Iterable[Any], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        # The default loads the whole log to list each of its rows.
        names = [str(document) for document in objs]
        return names, {str(Document._meta.verbose_name_plural): len(names)}, set(), []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Document | None = None) -> bool:
        return False


@admin.register(EventLease)
class FailedChangeAdmin(LeaseAdmin):
    """Lists documents whose changes the project's code failed to handle, and tries again."""

    list_display = fields = readonly_fields = (
        "name",
        "error",
        "attempts",
        "until",
        "given_up_at",
    )
    list_filter = (("given_up_at", admin.EmptyFieldListFilter),)
    search_fields: ClassVar = ("name",)
    actions = ("try_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventLease]:
        return super().get_queryset(request).filter(attempts__gt=0)

    @admin.action(description=_("Try the selected ones again now"), permissions=["change"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[EventLease]) -> None:
        retry(queryset)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


def _storage(document: Document) -> ORMStorage:
    return ORMStorage(router.db_for_write(Document, instance=document))
