"""Requests for views and REST framework, made from a connection's scope."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import AnonymousUser
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

__all__ = ["http_request", "request_of_user", "rest_request"]

_BODY_HEADERS = (b"content-type", b"content-length", b"transfer-encoding")


def http_request(
    scope: Mapping[str, Any],
    method: str,
    *,
    query: Mapping[str, Any] | None = None,
    data: Any = None,
) -> ASGIRequest:
    """Return a request of a connection's user, with its headers, cookies and session.

    Args:
        scope: of the connection.
        method: of HTTP.
        query: parameters, which may be lists.
        data: encoded as JSON in the body; ``None`` for no body.
    """
    body = b"" if data is None else json.dumps(data, cls=JSONEncoder).encode()
    headers = [(name, value) for name, value in scope["headers"] if name not in _BODY_HEADERS]
    if body:
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    parameters = urlencode(query or {}, doseq=True).encode()
    given = {"type": "http", "method": method, "query_string": parameters, "headers": headers}
    request = ASGIRequest({**scope, **given}, BytesIO(body))
    request.user = user_of(scope)
    if "session" in scope:
        request.session = scope["session"]
    # The check of the handshake's origin keeps other sites out.
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    if request.user.is_authenticated:
        # REST framework does not have to authenticate.
        request._force_auth_user = request.user  # type: ignore[attr-defined]
    return request


def rest_request(
    scope: Mapping[str, Any],
    method: str,
    *,
    query: Mapping[str, Any] | None = None,
    data: Any = None,
) -> Request:
    """Return a request of REST framework; see :func:`http_request`."""
    request = Request(http_request(scope, method, query=query))
    request.user = user_of(scope)
    request._full_data = {} if data is None else data  # type: ignore[attr-defined]
    return request


def request_of_user(user: Any) -> HttpRequest:
    """Return an empty request of a user."""
    request = HttpRequest()
    request.user = user or AnonymousUser()
    return request


def user_of(scope: Mapping[str, Any]) -> Any:
    """Return the user of a connection."""
    return scope.get("user") or AnonymousUser()
