"""The page of changes that the types of documents have refused: look, apply or discard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from collab.access import Access
from collab.admin.rendering import (
    admin_link,
    changes_html,
    content_html,
    named_users,
    page_link,
)
from collab.documents import policy
from collab.documents.changes.refusals import apply_refused, set_back_state
from collab.exceptions import DocumentNotFound
from collab.history.users import user_names
from collab_storage.admin import SHOWN
from collab_storage.models import Document, RefusedState
from collab_storage.render import render_text
from collab_storage.subdocuments import temporary_doc

if TYPE_CHECKING:
    BaseAdmin = admin.ModelAdmin[RefusedState]
else:
    BaseAdmin = admin.ModelAdmin

__all__ = ["RefusedChangeAdmin"]


class _ListWithAuthors(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # One query for the page, which is all that is shown.
        self.result_list = shown = list(cast("Any", self.result_list))
        names = user_names(key for refused in shown for key in refused.user_ids)
        for refused in shown:
            refused.user_names = names


@admin.register(RefusedState)
class RefusedChangeAdmin(BaseAdmin):
    """Shows a refused change, its authors and the reasons; applies or discards it.

    It takes the right to change refused changes, and asks the type of the document: content is
    shown to users who may read it, and applied for users who may write it and whom ``validate()``
    accepts as its author.
    """

    list_display: Any = ("name", "at", "authors", "shortened", "is_set_back")
    list_filter = ("is_set_back", "at")
    search_fields: ClassVar[Any] = ("name", "reasons")
    date_hierarchy = "at"
    actions = ("apply_selected",)
    fields: ClassVar[Any] = (
        *("document", "page", "at", "authors", "reasons", "is_set_back"),
        *("changes", "content", "decision"),
    )
    readonly_fields: ClassVar[Any] = fields

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list, which looks the names of all authors up at once."""
        return _ListWithAuthors

    def get_queryset(self, request: HttpRequest) -> QuerySet[RefusedState]:
        """Return the refused changes without their states, which the list does not show."""
        return super().get_queryset(request).defer("state", "undoing")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse to add changes by hand."""
        return False

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Return whether the list may be filtered so: the page of a document links to its own."""
        return lookup == "name__exact" or super().lookup_allowed(lookup, value, request)

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return a refused change, for the user whose page shows it."""
        refused: Any = super().get_object(request, *args, **kwargs)
        if refused is not None:
            refused.viewer = request.user
            refused.is_decided_here = self._may_apply(request, refused)
        return refused

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        """Show a refused change, or apply it."""
        if request.method == "POST" and "_apply" in request.POST:
            return self._apply_view(request, object_id)
        return super().change_view(request, object_id, *args, **kwargs)

    # Fields.

    @admin.display(description=_("document"))
    def document(self, refused: RefusedState) -> SafeString | str:
        """Link to the document, if it is stored."""
        document = Document.objects.only("pk").filter(name=refused.name).first()
        if document is None:
            return refused.name
        return admin_link("document_change", refused.name, document.pk)

    @admin.display(description=_("page"), empty_value="-")
    def page(self, refused: RefusedState) -> SafeString | None:
        """Link to the page that shows the document."""
        return page_link(refused.name)

    @admin.display(description=_("authors"), empty_value="-")
    def authors(self, refused: RefusedState) -> str | None:
        """Name the users who changed the document since it was valid."""
        return named_users(refused.user_ids, getattr(refused, "user_names", None))

    @admin.display(description=_("reasons"), ordering="reasons")
    def shortened(self, refused: RefusedState) -> str:
        """Return the beginning of the reasons."""
        return Truncator(refused.reasons).chars(100)

    @admin.display(description=_("changes"))
    def changes(self, refused: Any) -> SafeString:
        """Show the refused changes."""
        if not policy.may_read(refused.name, refused.viewer):
            return _not_readable()
        before = set_back_state(refused)
        if before is None:
            return format_html("{}", _("The document was not set back."))
        return changes_html(refused.name, before, bytes(refused.state))

    @admin.display(description=_("content"))
    def content(self, refused: Any) -> SafeString:
        """Show the document as it was when it was refused."""
        if not policy.may_read(refused.name, refused.viewer):
            return _not_readable()
        state = bytes(refused.state)
        if (html := content_html(refused.name, state)) is not None:
            return html
        with temporary_doc(state) as doc:
            text = render_text(doc)
        return format_html('<pre style="white-space: pre-wrap">{}</pre>', text[:SHOWN])

    @admin.display(description=_("decision"), empty_value="-")
    def decision(self, refused: Any) -> SafeString | None:
        """Offer to apply the change; the page's button "Delete" discards it."""
        if not refused.is_decided_here:
            return None
        button = '<button type="submit" name="_apply" class="button">{}</button>'
        return format_html(button, _("Apply these changes after all"))

    # Applying.

    def _may_apply(self, request: HttpRequest, refused: RefusedState) -> bool:
        if refused.undoing is None or not self.has_change_permission(request, refused):
            return False
        return policy.access_of(refused.name, request.user) == Access.WRITE

    def _apply_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        refused = self.get_object(request, object_id)
        if refused is None:
            # Another user has decided meanwhile.
            return HttpResponseRedirect(self._page("changelist"))
        if not refused.is_decided_here:
            raise PermissionDenied
        applied = self._apply(request, refused)
        url = self._page("changelist") if applied else self._page("change", refused.pk)
        return HttpResponseRedirect(url)

    def _page(self, kind: str, *args: Any) -> str:
        return reverse(f"{self.admin_site.name}:collab_storage_refusedstate_{kind}", args=args)

    @admin.action(description=_("Apply the selected changes after all"), permissions=["change"])
    def apply_selected(self, request: HttpRequest, queryset: QuerySet[RefusedState]) -> None:
        """Apply refused changes, the oldest first."""
        for refused in queryset.order_by("at"):
            if self._may_apply(request, refused):
                self._apply(request, refused)
            else:
                text = _("You may not apply the changes of %(name)s.")
                self.message_user(request, text % {"name": refused.name}, messages.ERROR)

    def _apply(self, request: HttpRequest, refused: RefusedState) -> bool:
        label, key = str(refused), refused.pk
        try:
            apply_refused(refused, request.user)
        except ValidationError as error:
            text = _("%(name)s still refuses the changes: %(reasons)s")
            reasons = " ".join(error.messages)
            self.message_user(request, text % {"name": label, "reasons": reasons}, messages.ERROR)
        except DocumentNotFound:
            text = _("There is no document %(name)s any more.")
            self.message_user(request, text % {"name": label}, messages.ERROR)
        else:
            self.log_deletions(request, cast("Any", [RefusedState(pk=key, name=label)]))
            self.message_user(request, _("The changes of %(name)s are applied.") % {"name": label})
            return True
        return False


def _not_readable() -> SafeString:
    return format_html("{}", _("You may not read this document."))
