"""The ways through an ASGI application, whatever routers and middleware are in it."""

from __future__ import annotations

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django.urls import path, re_path

from collab.consumers import YjsConsumer
from collab.engine.connections.routes import consumers, routes


class One(YjsConsumer):
    """A consumer."""


class Two(YjsConsumer):
    """Another."""


def ways(application: object) -> list[tuple[object, list[str]]]:
    """Return the consumers of an application, and how each is reached."""
    return [
        (route.application.consumer_class, [str(pattern) for pattern in route.patterns])
        for route in routes(application)
        if hasattr(route.application, "consumer_class")
    ]


def test_routers_in_middleware_in_routers_are_followed_in_their_order() -> None:
    inner = URLRouter([path("<int:pk>/", One.as_asgi()), re_path(r"^x/$", Two.as_asgi())])
    outer = URLRouter([path("a/", AuthMiddlewareStack(inner)), path("b/", Two.as_asgi())])
    application = ProtocolTypeRouter({"websocket": OriginValidator(outer, ["*"])})
    assert ways(application) == [(One, ["a/", "<int:pk>/"]), (Two, ["a/", "^x/$"]), (Two, ["b/"])]


def test_a_consumer_with_two_routes_is_listed_once() -> None:
    consumer = One.as_asgi()
    application = URLRouter([path("first", consumer), path("second", consumer)])
    assert ways(application) == [(One, ["first"])]
    assert [route.application for route in routes(application)] == [application, consumer]


def test_consumers_of_a_kind_are_in_the_order_of_their_names() -> None:
    application = URLRouter([path("b", Two.as_asgi()), path("a", One.as_asgi())])
    assert consumers(YjsConsumer, application) == [One, Two]
    assert consumers(Two, application) == [Two]
    found = consumers(YjsConsumer, application, lambda route: "b" in map(str, route.patterns))
    assert found == [Two]
