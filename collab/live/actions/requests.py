"""Requests as views and REST framework know them, made of a connection."""

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
    """Return a request by the user of a connection, with its headers, cookies and session.

    Args:
        scope: of the connection.
        method: as in HTTP.
        query: parameters, which may be lists.
        data: what the body is the JSON of; ``None``: there is no body.
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
    # Other sites are kept out when the connection is made, by the check of its origin.
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    if request.user.is_authenticated:
        # REST framework need not find out who it is.
        request._force_auth_user = request.user  # type: ignore[attr-defined]
    return request


def rest_request(
    scope: Mapping[str, Any],
    method: str,
    *,
    query: Mapping[str, Any] | None = None,
    data: Any = None,
) -> Request:
    """Return a request as views of REST framework have it; see :func:`http_request`."""
    request = Request(http_request(scope, method, query=query))
    request.user = user_of(scope)
    request._full_data = {} if data is None else data  # type: ignore[attr-defined]
    return request


def request_of_user(user: Any) -> HttpRequest:
    """Return a request of which nothing is known but whose it is."""
    request = HttpRequest()
    request.user = user or AnonymousUser()
    return request


def user_of(scope: Mapping[str, Any]) -> Any:
    """Return the user of a connection."""
    return scope.get("user") or AnonymousUser()
