"""The endpoints of ``y-provider`` that Django and the front end call."""

import base64
import binascii
import json
import secrets
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from pycrdt import Doc

from collab import documents
from collab.access import Access

from . import conversion
from .documents import access_of
from .models import Document

View = Callable[[HttpRequest], HttpResponse]

#: Bytes that are converted at most, and of a document that is polled.
MAX_CONTENT = 20 * 1024 * 1024
#: A state vector of which a document lacks nothing that it could have.
NOTHING = b"\x00"


def _error(status: int, text: str) -> JsonResponse:
    return JsonResponse({"error": text}, status=status)


def for_servers(view: View) -> View:
    """Refuse requests without the API key that the project's own servers send."""

    @csrf_exempt
    @wraps(view)
    def check(request: HttpRequest) -> HttpResponse:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(key.encode(), settings.Y_PROVIDER_API_KEY.encode()):
            return _error(401, "The API key is not valid.")
        return view(request)

    return check


def for_rooms(view: Callable[[HttpRequest, Document], HttpResponse]) -> View:
    """Give a view the document in ``?room=``."""

    @wraps(view)
    def find(request: HttpRequest) -> HttpResponse:
        if not (room := request.GET.get("room")):
            return _error(400, "Room name not provided")
        try:
            pk = UUID(room)
        except ValueError:
            return _error(400, "The room is not a UUID.")
        return view(request, get_object_or_404(Document, pk=pk))

    return find


@require_GET
def ping(request: HttpRequest) -> HttpResponse:
    """Answer a probe."""
    return JsonResponse({"message": "pong"})


@require_POST
@for_servers
@for_rooms
def reset_connections(request: HttpRequest, document: Document) -> HttpResponse:
    """Apply changed rights to a document and all below it: for one user, or for all.

    A user who may still read stays connected: the provider emits the new scope. Another gets
    the event ``close``.
    """
    user = request.headers.get("X-User-Id")
    for each in document.subtree():
        documents.recheck_access(str(each.pk), user)
    return JsonResponse({"message": "Connections reset"})


@require_GET
@for_servers
@for_rooms
def get_connections(request: HttpRequest, document: Document) -> HttpResponse:
    """Return how many connections may write, and whether one is of the session's user."""
    if not (key := request.GET.get("sessionKey")):
        return _error(400, "Session key not provided")
    present = documents.present(str(document.pk))
    if not present:
        return _error(404, "Room not found")
    writers = [user for user in present if user.access >= Access.WRITE]
    user_id = _session(key).get(SESSION_KEY)
    return JsonResponse(
        {
            "count": sum(user.connections for user in writers),
            "exists": user_id is not None and user_id in {user.user_id for user in writers},
        }
    )


def _session(key: str) -> SessionBase:
    store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
    return store(key)


@require_POST
@for_servers
def convert(request: HttpRequest) -> HttpResponse:
    """Convert the body from its content type to the type in ``Accept``."""
    data = request.read(MAX_CONTENT + 1)
    if len(data) > MAX_CONTENT:
        return _error(413, "The content is too large.")
    if not data:
        return _error(400, "Invalid request: missing content")
    given = (request.content_type or "text/markdown").partition(";")[0]
    wanted = request.headers.get("Accept", "*/*").partition(";")[0]
    wanted = "application/vnd.yjs.doc" if wanted == "*/*" else wanted
    if given not in conversion.READABLE:
        return _error(415, "Unsupported Content-Type")
    if wanted not in conversion.WRITABLE:
        return _error(406, "Unsupported format")
    try:
        update = conversion.read(data, given)
    except ValueError:
        return _error(400, "Invalid content")
    return HttpResponse(conversion.write(update, wanted), content_type=wanted)


@require_POST
@for_rooms
def poll(request: HttpRequest, document: Document) -> HttpResponse:
    """Synchronize a browser whose websockets are blocked.

    The body has ``localDoc64``, an update with what the browser has changed since its last request
    that succeeded, if anything; and ``state64``, its state vector after that. The answer has
    ``syncDoc64``, what it lacks. Presence is not exchanged.
    """
    access = access_of(document, request.user)
    if access < Access.READ:
        return _error(403, "Forbidden")
    name = str(document.pk)
    try:
        given = {key: base64.b64decode(text) for key, text in json.loads(request.body).items()}
        doc = documents.read(name) if documents.exists(name) else Doc[Any]()
        if update := given.get("localDoc64"):
            if access < Access.WRITE:
                return _error(403, "Forbidden")
            if len(doc.get_update()) + len(update) > MAX_CONTENT:
                return _error(413, "The document is too large.")
            documents.send_doc_update(name, update, user=request.user)
            doc.apply_update(update)
        missing = doc.get_update(given.get("state64", NOTHING))
    except (AttributeError, TypeError, ValueError, binascii.Error):
        return _error(400, "Invalid content")
    answer = {"syncDoc64": base64.b64encode(missing).decode(), "access": access.label}
    return JsonResponse(answer)
