"""Middleware that has nothing to do after a websocket has ended.

An application returns while its connection rests, and with it the middleware around it. Other
middleware may count, log or catch errors behind its ``await``: that waits until the end.
"""

from __future__ import annotations

from types import CodeType, FrameType
from typing import Any

from channels.auth import AuthMiddleware
from channels.consumer import AsyncConsumer
from channels.middleware import BaseMiddleware
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from channels.sessions import CookieMiddleware, SessionMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

__all__ = ["MIDDLEWARE", "has_only"]

#: Each ends with ``return await``. A test reads the source of the releases that are installed.
MIDDLEWARE: tuple[Any, ...] = (
    AuthMiddleware.__call__,
    BaseMiddleware.__call__,
    CookieMiddleware.__call__,
    OriginValidator.__call__,
    ProtocolTypeRouter.__call__,
    ProxyHeadersMiddleware.__call__,
    SessionMiddleware.__call__,
    URLRouter.__call__,
    AsyncConsumer.as_asgi(),
)
_CODE = frozenset(each.__code__ for each in MIDDLEWARE)


def has_only(frame: FrameType | None, outermost: CodeType) -> bool:
    """Return whether nothing but such middleware is between a coroutine and the outermost one.

    Args:
        frame: of the code that awaits the coroutine.
        outermost: code of the outermost coroutine.
    """
    while frame is not None and frame.f_code in _CODE:
        frame = frame.f_back
    return frame is not None and frame.f_code is outermost
