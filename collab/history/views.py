"""Versions over HTTP, for editors and other clients; see ``docs/history.md``.

Each request asks the document's type (I12): to see versions takes the right to read, and to make,
name, restore or delete them takes the right to write and ``can_restore()``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from asgiref.sync import async_to_sync
from django.apps import apps
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from collab.access import Access, granted_access
from collab.documents.policy import authorize
from collab.documents.registry import resolve
from collab.engine.connections.refusals import denial, refusal_of
from collab.engine.hub.identity import user_key
from collab.exceptions import (
    ContentError,
    DocumentNotFound,
    InvalidName,
    NoSuchDocument,
)
from collab.history.authorship.authors import attributed, shares
from collab.history.comparing.operations import diff
from collab.history.exceptions import InvalidTitle, VersionNotFound
from collab.history.keeping import operations
from collab.history.keeping.visibility import read_id, rights_of, visible_version
from collab.history.users import names_in, user_names
from collab.wire import CloseCode
from collab_storage.versions import Version

__all__ = [
    "AuthorsView",
    "DiffView",
    "HistoryView",
    "RestoreView",
    "StateView",
    "VersionView",
    "VersionsView",
]

#: Most versions in one answer; earlier ones follow with ``?before=``.
_PAGE = 200
_STATUS = {
    CloseCode.UNAUTHENTICATED: 401,
    CloseCode.FORBIDDEN: 403,
    CloseCode.NOT_FOUND: 404,
}


class _BadRequest(Exception):
    """The body of a request is not as it must be."""


# The answer depends on headers that no cache compares.
@method_decorator([csrf_exempt, never_cache], name="dispatch")
class HistoryView(View):
    """The base of the views: the user of a request, and the user's rights."""

    #: Methods that change nothing.
    reading: ClassVar[set[str]] = {"GET", "HEAD", "OPTIONS"}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a request, or refuse it."""
        try:
            self.user = self.authenticate(request)
            if self.user is None and (refused := _csrf_failure(request)):
                return refused
            self.user = self.user or getattr(request, "user", None)
            self.name: str = kwargs["name"]
            async_to_sync(self._authorize)(request.method or "GET")
            if "id" in kwargs:
                self.visible(kwargs["id"])
            return super().dispatch(request, *args, **kwargs)
        except (VersionNotFound, DocumentNotFound, InvalidName) as error:
            return JsonResponse({"detail": str(error)}, status=404)
        except (_BadRequest, InvalidTitle) as error:
            return JsonResponse({"detail": str(error)}, status=400)
        except ContentError as error:
            return JsonResponse({"detail": str(error)}, status=422)
        except Exception as error:
            refusal = refusal_of(error, user_key(getattr(self, "user", None)))
            if refusal is None:
                raise
            status = _STATUS.get(refusal.close_code, 403)
            return JsonResponse({"detail": str(refusal)}, status=status)

    def authenticate(self, request: HttpRequest) -> Any:
        """Return the user of a token in the header ``Authorization``; ``None`` for the session's.

        Tokens are those of ``rest_framework.authtoken``; override this for others. A request with
        a token needs no CSRF token, as browsers do not send it by themselves.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        has_tokens = apps.is_installed("rest_framework.authtoken")
        if scheme.lower() not in ("token", "bearer") or not has_tokens:
            return None
        from rest_framework.authentication import TokenAuthentication

        user, _ = TokenAuthentication().authenticate_credentials(token)
        return user

    async def _authorize(self, method: str) -> None:
        if resolve(self.name) is None:
            raise NoSuchDocument
        access = await self._access()
        if access == Access.NONE:
            raise denial(user_key(self.user))
        rights = await rights_of(self.name, self.user, access)
        if method not in self.reading and not rights.can_restore:
            raise denial(user_key(self.user))
        self.rights = rights

    async def _access(self) -> Access:
        """Return the access by the document's type, or by the page that the user has open."""
        token = self.request.headers.get("X-Collab-Grant", "")
        granted = granted_access(token, self.name, history=True)
        try:
            access = await authorize(self.name, self.user)
        except Exception as error:
            if granted == Access.NONE or refusal_of(error, None) is None:
                raise
            return granted
        return max(access or Access.NONE, granted)

    def visible(self, id: int) -> None:
        """Refuse a version that the user may not see.

        Raises:
            VersionNotFound: there is none, or it is of an earlier time.
        """
        async_to_sync(visible_version)(self.name, id, self.rights)


class VersionsView(HistoryView):
    """``GET`` lists the versions of a document, ``POST`` makes one."""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        """List versions, the newest first."""
        before = _time(request.GET.get("before"))
        found = operations.versions(
            name,
            since=self.rights.since,
            before=before,
            named="named" in request.GET,
            limit=_PAGE + 1,
        )
        page, following = found[:_PAGE], found[_PAGE:]
        if following:
            # The next page begins before a time, so that versions of one time come together.
            page = [each for each in page if each.at != following[0].at] or page
        return JsonResponse(
            {
                "versions": [_json(version) for version in page],
                "users": names_in(page),
                "can_restore": self.rights.can_restore,
                "has_more": bool(following),
            }
        )

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        """Make a version; with a title it is never thinned out."""
        version = operations.create(name, _title(request), user=self.user)
        return JsonResponse(_json(version), status=201)


class VersionView(HistoryView):
    """``PATCH`` names a version, ``DELETE`` deletes it."""

    def patch(self, request: HttpRequest, name: str, id: int) -> HttpResponse:
        """Give a version another title."""
        operations.rename(name, id, _title(request))
        return HttpResponse(status=204)

    def delete(self, request: HttpRequest, name: str, id: int) -> HttpResponse:
        """Delete a version."""
        operations.delete(name, id)
        return HttpResponse(status=204)


class StateView(HistoryView):
    """``GET`` returns the state of a version as a Yjs update."""

    def get(self, request: HttpRequest, name: str, id: int) -> HttpResponse:
        """Return the state."""
        update = operations.read(name, id).get_update()
        return HttpResponse(update, content_type="application/octet-stream")


class RestoreView(HistoryView):
    """``POST`` restores a version."""

    def post(self, request: HttpRequest, name: str, id: int) -> HttpResponse:
        """Restore it, and return the version of the content before."""
        return JsonResponse(_json(operations.restore(name, id, user=self.user)))


class DiffView(HistoryView):
    """``GET`` compares two versions, or one with the present."""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        """Return changes, HTML and authors; with ``?format=html`` the HTML only."""
        a, b = _id(request.GET.get("from", "")), request.GET.get("to")
        ids = [a] if b is None else [a, _id(b)]
        for id in ids:
            self.visible(id)
        found = diff(name, *ids)
        if request.GET.get("format") == "html":
            return HttpResponse(found.html)
        return JsonResponse(
            {
                "changes": found.json,
                "html": found.html,
                "authors": [*found.users],
                "users": user_names(found.users),
            }
        )


class AuthorsView(HistoryView):
    """``GET`` returns the shares of users, and who made which insertion."""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        """Return shares by user, and rows of client, first clock, clock behind, user and time."""
        since = self.rights.since
        found = async_to_sync(attributed)(name).authorship
        by_user = shares(found, since, None)
        return JsonResponse(
            {
                "shares": [
                    {
                        "user": user,
                        "inserted": share.inserted,
                        "deleted": share.deleted,
                        "last": share.last.isoformat(),
                    }
                    for user, share in by_user.items()
                ],
                "ranges": [
                    [part.client, part.start, part.end, part.user_id, part.until.isoformat()]
                    for part in found.ranges
                    if since is None or part.until >= since
                ],
                "users": user_names(by_user),
            }
        )


def _csrf_failure(request: HttpRequest) -> HttpResponseBase | None:
    """Return the refusal of a request of a session that may come from another site."""
    # It never calls the view that it is given.
    check = CsrfViewMiddleware(HttpResponse)
    check.process_request(request)
    refused: HttpResponseBase | None = check.process_view(request, HttpResponse, (), {})
    return refused


def _json(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "at": version.at.isoformat(),
        "title": version.title,
        "kind": version.kind,
        "by": [*version.by],
        "made_by": version.made_by,
        "edits": version.edits,
        "restored_from": version.restored_from,
    }


def _title(request: HttpRequest) -> str:
    return operations.check_title(_body(request).get("title", ""))


def _id(text: str) -> int:
    if (id := read_id(text)) is None:
        raise _BadRequest("?from= must be the id of a version, and ?to=, if given, of another.")
    return id


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _BadRequest("The body must be a JSON object.")
    return body


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise _BadRequest("The time must have a time zone.")
        # In its own zone, it may be before the first year or behind the last one.
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _BadRequest("The time must be in ISO format.") from None
