"""Views of Django and REST framework as actions of a consumer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from asgiref.sync import async_to_sync, iscoroutinefunction
from rest_framework.response import Response

from collab.live.actions.actions import action
from collab.live.actions.requests import http_request
from collab.live.consumers import LiveConsumer
from collab.live.errors import CallError
from collab.live.permissions import AllowAny

__all__ = ["DjangoViewAsConsumer", "view_as_consumer"]

#: Methods by action.
MAPPED_ACTIONS: Mapping[str, str] = {
    "create": "POST",
    "delete": "DELETE",
    "list": "GET",
    "patch": "PATCH",
    "retrieve": "GET",
    "update": "PUT",
}


class DjangoViewAsConsumer(LiveConsumer):
    """A consumer whose actions call a view; :func:`view_as_consumer` makes subclasses."""

    #: Any client may connect; the view decides about each call.
    permission_classes = (AllowAny,)

    view: ClassVar[Callable[..., Any]]

    def call_view(
        self,
        method: str,
        data: Any = None,
        query: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> tuple[Any, int]:
        """Call the view with a request made for this call; return data and status.

        Raises:
            CallError: the status of the view's response is 400 or more.
        """
        request = http_request(self.scope, method, query=query, data=data)
        view = type(self).view
        call: Any = async_to_sync(view) if iscoroutinefunction(view) else view
        response = call(request, **(parameters or {}))
        content = _content(response)
        if response.status_code >= 400:
            raise CallError(response.status_code, content)
        return content, response.status_code


def view_as_consumer(
    view: Callable[..., Any], mapped_actions: Mapping[str, str] | None = None
) -> Any:
    """Return an ASGI application that calls a view: ``path("ws/users/", view_as_consumer(view))``.

    Clients send the action with ``data`` for the request's body, ``query`` for its parameters, and
    ``parameters`` for arguments of the URL pattern. User, session and headers come from the
    connection.

    Args:
        view: a function, or the result of ``as_view()``.
        mapped_actions: HTTP methods by action; by default ``MAPPED_ACTIONS``.

    Raises:
        ValueError: the name of an action is an attribute of consumers.
    """
    mapped = MAPPED_ACTIONS if mapped_actions is None else mapped_actions
    if taken := [name for name in mapped if hasattr(DjangoViewAsConsumer, name)]:
        raise ValueError(f"Rename action {taken[0]!r}: consumers have an attribute of this name.")
    actions = {name: _action(name, method) for name, method in mapped.items()}
    body = {"view": staticmethod(view), **actions}
    consumer: Any = type("ViewConsumer", (DjangoViewAsConsumer,), body)
    return consumer.as_asgi()


def _action(name: str, method: str) -> Any:
    def call(
        self: DjangoViewAsConsumer,
        data: Any = None,
        query: dict[str, Any] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> tuple[Any, int]:
        return self.call_view(method, data, query, parameters)

    call.__name__ = name
    return action(call)


def _content(response: Any) -> Any:
    """Return the content of a response: data, or text if it is not JSON."""
    if isinstance(response, Response):
        return response.data
    if hasattr(response, "render"):
        response.render()
    text = response.getvalue().decode(response.charset)
    return json.loads(text) if text and "json" in response.get("Content-Type", "") else text
