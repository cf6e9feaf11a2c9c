"""Several users in the frames of one page: below ``/as/<name>/``, cookies are a frame's own.

A browser has one session with a site, and so one user. Here the names of a frame's cookies begin
with the name of its user, in the browser only: the project sees, and sets, cookies as everywhere.
"""

import re
from typing import Any

_PREFIX = re.compile(r"/as/(\w+)(?=/)", re.ASCII)


class Frames:
    """An ASGI application below ``/as/<name>/``, too, for any number of names.

    Args:
        application: it; for the frames it has a ``root_path``.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request or a websocket."""
        found = _PREFIX.match(scope.get("path", ""))
        if found is None:
            await self.application(scope, receive, send)
            return
        prefix = f"{found[1]}.".encode()

        async def answer(message: Any) -> None:
            if "headers" in message:
                headers = [_written(prefix, *header) for header in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        headers = [_read(prefix, *header) for header in scope["headers"]]
        within = {**scope, "root_path": found[0], "headers": headers}
        await self.application(within, receive, answer if scope["type"] == "http" else send)


def _read(prefix: bytes, name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return a header of a request with the cookies of its frame only."""
    if name.lower() == b"cookie":
        cookies = (cookie.strip() for cookie in value.split(b";"))
        own = (cookie.removeprefix(prefix) for cookie in cookies if cookie.startswith(prefix))
        value = b"; ".join(own)
    return name, value


def _written(prefix: bytes, name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return a header of a response whose cookie is of its frame."""
    return name, prefix + value if name.lower() == b"set-cookie" else value
