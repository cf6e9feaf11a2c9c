"""Pages of a document's history in Django's admin: timeline, preview, comparison, restoration.

They are below the admin page of the document, and for the users who see its content there. A
restoration takes the permission to change documents, too, the right to write, and the type's
``can_restore()``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from collab.access import Access
from collab.documents import DocumentContent, policy, type_of
from collab.exceptions import ContentError
from collab.history.comparing.operations import diff
from collab.history.exceptions import VersionNotFound
from collab.history.keeping import operations
from collab.history.keeping.visibility import (
    VersionRights,
    read_id,
    rights_of,
    visible_version,
)
from collab.history.users import names_in, user_names
from collab_storage.render import render_text
from collab_storage.versions import Version, VersionKind

if TYPE_CHECKING:
    BaseAdmin = admin.ModelAdmin[Any]
else:
    BaseAdmin = admin.ModelAdmin

__all__ = ["HistoryPages"]

_PAGE = 100
_KINDS = {
    VersionKind.AUTO: _("automatic"),
    VersionKind.NAMED: _("named"),
    VersionKind.RESTORE: _("before a restoration"),
    VersionKind.IMPORT: _("before an import"),
    VersionKind.REPLACE: _("before a rewrite"),
}
_TEMPLATES = "admin/collab_storage/document"


class _Opened(NamedTuple):
    """A document whose versions a user looks at."""

    document: Any
    rights: VersionRights

    def version(self, id: int) -> Version:
        """Return a version that the user may see."""
        try:
            return async_to_sync(visible_version)(self.document.name, id, self.rights)
        except VersionNotFound as error:
            raise Http404 from error


class HistoryPages(BaseAdmin):
    """Adds the history of each document to the admin of documents."""

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of the history."""
        pages: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "versions": ("", self.versions_view),
            "version": ("<int:id>/", self.version_view),
            "compare": ("<int:id>/compare/", self.compare_view),
            "restore": ("<int:id>/restore/", self.restore_view),
        }
        found = [
            path(
                f"<path:object_id>/versions/{route}",
                self.admin_site.admin_view(view),
                name=_page_name(page),
            )
            for page, (route, view) in pages.items()
        ]
        return [*found, *super().get_urls()]

    @admin.display(description=_("versions"))
    def versions_link(self, document: Any) -> SafeString:
        """Link to the history of a document."""
        return format_html(
            '<a href="{}">{}</a>', self._url("versions", document), gettext("Show all versions")
        )

    def versions_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """List the versions, by day; those of one day, kind or author if asked for."""
        document, rights = self._opened(request, object_id)
        found = operations.versions(document.name, since=rights.since)
        chosen = {key: request.GET.get(key, "") for key in ("day", "kind", "author")}
        shown = [version for version in found if _is_chosen(version, chosen)]
        page = Paginator(shown, _PAGE).get_page(request.GET.get("p"))
        names = names_in(found)
        rows = [self._row(version, document, names) for version in page]
        context = {
            "page": page,
            "days": [(day, [*rows]) for day, rows in groupby(rows, key=lambda row: row["day"])],
            "choices": {
                "day": [*dict.fromkeys((str(_day(v)), str(_day(v))) for v in found)],
                "kind": [(kind.value, label) for kind, label in _KINDS.items()],
                "author": sorted(names.items(), key=lambda item: item[1]),
            },
            "chosen": chosen,
        }
        return self._answer(request, document, "versions", _("Versions"), context)

    def version_view(self, request: HttpRequest, object_id: str, id: int) -> HttpResponse:
        """Show the content of a version."""
        opened = self._opened(request, object_id)
        document, version = opened.document, opened.version(id)
        context: dict[str, Any] = {"row": self._row(version, document, names_in([version]))}
        context |= {
            "content": _preview(document.name, id),
            "may_restore": opened.rights.can_restore,
        }
        return self._answer(request, document, "version", str(version.at), context)

    def compare_view(self, request: HttpRequest, object_id: str, id: int) -> HttpResponse:
        """Compare a version with another, or with the present."""
        opened = self._opened(request, object_id)
        document, version = opened.document, opened.version(id)
        other = read_id(request.GET.get("to", ""))
        to = None if other is None else opened.version(other)
        context = {"row": self._row(version, document, {}), "other": to}
        context |= _comparison(document.name, id, None if to is None else to.id)
        return self._answer(request, document, "compare", _("Compare"), context)

    def restore_view(self, request: HttpRequest, object_id: str, id: int) -> HttpResponse:
        """Restore a version, once that is confirmed."""
        opened = self._opened(request, object_id)
        document, version = opened.document, opened.version(id)
        if not opened.rights.can_restore:
            raise PermissionDenied
        if request.method == "POST":
            operations.restore(document.name, id, user=request.user)
            self.log_change(request, document, f"Restored version {id}.")
            self.message_user(
                request,
                _("The version was restored. The content before is a version, too."),
                messages.SUCCESS,
            )
            return HttpResponseRedirect(self._url("versions", document))
        context = {"row": self._row(version, document, {})}
        context |= _comparison(document.name, id, None)
        return self._answer(request, document, "restore", _("Restore"), context)

    def _opened(self, request: HttpRequest, object_id: str) -> _Opened:
        """Return a document that the user may see, with the user's rights to its versions."""
        document = self.get_object(request, object_id)
        if document is None:
            raise Http404
        if not self.has_view_permission(request, document):
            raise PermissionDenied
        access = policy.access_of(document.name, request.user)
        if access == Access.NONE:
            raise PermissionDenied
        since, can_restore = async_to_sync(rights_of)(document.name, request.user, access)
        code = get_permission_codename("change", self.opts)
        may_change = request.user.has_perm(f"{self.opts.app_label}.{code}")
        return _Opened(document, VersionRights(since, can_restore=can_restore and may_change))

    def _row(self, version: Version, document: Any, names: dict[str, str]) -> dict[str, Any]:
        """Return a version for a template."""
        made_by = version.made_by
        return {
            "version": version,
            "day": _day(version),
            "kind": _KINDS[version.kind],
            "by": ", ".join(names.get(key, key) for key in version.by),
            "made_by": names.get(made_by, made_by) if made_by is not None else "",
            "url": self._url("version", document, version.id),
            "compare_url": self._url("compare", document, version.id),
            "restore_url": self._url("restore", document, version.id),
        }

    def _url(self, page: str, document: Any, *args: int) -> str:
        site = self.admin_site.name
        return reverse(f"admin:{_page_name(page)}", args=[document.pk, *args], current_app=site)

    def _answer(
        self, request: HttpRequest, document: Any, page: str, title: Any, context: dict[str, Any]
    ) -> HttpResponse:
        known = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "document": document,
            "versions_url": self._url("versions", document),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, f"{_TEMPLATES}/{page}.html", known | context)


def _page_name(page: str) -> str:
    return f"collab_storage_document_{page}"


def _day(version: Version) -> Any:
    return timezone.localtime(version.at).date()


def _is_chosen(version: Version, chosen: dict[str, str]) -> bool:
    return (
        chosen["day"] in ("", str(_day(version)))
        and chosen["kind"] in ("", version.kind.value)
        and (not chosen["author"] or chosen["author"] in (*version.by, version.made_by))
    )


def _preview(name: str, id: int) -> SafeString:
    """Return the content of a version as HTML."""
    doc, kind = operations.read(name, id), type_of(name)
    if kind is not None and kind.content is not None:
        try:
            content = DocumentContent(name, doc.get_update(), kind.content, kind.content_field)
            return mark_safe(content.html)
        except ContentError:
            # Its parts can be shown when its content cannot.
            pass
    return format_html('<pre style="white-space: pre-wrap">{}</pre>', render_text(doc))


def _comparison(name: str, a: int, b: int | None) -> dict[str, Any]:
    """Return the differences, for a template."""
    try:
        found = diff(name, a, b)
    except ContentError as error:
        return {"content": str(error), "authors": [], "is_equal": False}
    names = user_names(found.users)
    authors = [
        (number, "?" if user is None else names.get(user, user))
        for number, user in enumerate(found.users)
    ]
    return {
        "content": mark_safe(found.html),
        "authors": authors,
        "is_equal": not found.changes,
    }
