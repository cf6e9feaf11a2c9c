"""A project in one file that uses the installed package: two clients edit, the document is kept.

It is copied away from the sources and run by an interpreter that has nothing but the wheel.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    SECRET_KEY="smoke",
    USE_TZ=True,
    COLLAB={"DEFAULT_ACCESS": "write"},
    INSTALLED_APPS=["collab", "collab_storage", "channels", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from channels.routing import URLRouter  # noqa: E402
from django.urls import path  # noqa: E402
from pycrdt import (  # noqa: E402
    Doc,
    Text,
    create_sync_message,
    create_update_message,
    handle_sync_message,
)

from collab import documents  # noqa: E402
from collab.consumers import YjsConsumer  # noqa: E402

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])


class Client:
    """A connection without a network."""

    def __init__(self) -> None:
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Be connected to the document "smoke"."""
        scope = {"type": "websocket", "path": "/ws/smoke"}
        serving = asyncio.create_task(application(scope, self._in.get, self._out.put))
        await self._in.put({"type": "websocket.connect"})
        assert (await self._out.get())["type"] == "websocket.accept"
        yield
        await self._in.put({"type": "websocket.disconnect", "code": 1000})
        await serving

    async def send(self, frame: bytes) -> None:
        await self._in.put({"type": "websocket.receive", "bytes": frame})

    async def receive(self) -> bytes:
        frame: bytes = (await self._out.get())["bytes"]
        return frame


async def write(text: str) -> None:
    """Write the document with one client."""
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, text)
    client = Client()
    async with client.connected():
        await client.send(create_update_message(doc.get_update()))


async def wait_for(text: str) -> None:
    """Wait until another client reads ``text``."""
    doc: Doc[Any] = Doc()
    client = Client()
    async with client.connected():
        await client.send(create_sync_message(doc))
        while str(doc.get("text", type=Text)) != text:
            frame = await client.receive()
            if frame[0] == 0:
                handle_sync_message(frame[1:], doc)


async def write_and_read(text: str) -> None:
    """Write with one client what another reads."""
    async with asyncio.timeout(30):
        await write(text)
        await wait_for(text)


call_command("migrate", verbosity=0)
call_command("check", fail_level="ERROR")
asyncio.run(write_and_read("written by a client"))
with documents.edit("smoke") as document:
    document.get("text", type=Text).insert(0, "rewritten; ")
print(documents.read("smoke").get("text", type=Text))
