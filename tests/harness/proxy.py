"""A TCP proxy that cuts, holds and delays what goes through it, and spreads it over servers."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

__all__ = ["Proxy"]


class Proxy:
    """Passes connections on to ports of this machine, to each in turn.

    Args:
        ports: where to; one that refuses is left out.
    """

    def __init__(self, *ports: int) -> None:
        self.port = 0
        #: Seconds that each piece of data is kept.
        self.delay = 0.0
        #: Cleared, nothing goes to the servers any more, or nothing comes from them; it waits.
        self.there = asyncio.Event()
        self.back = asyncio.Event()
        self.there.set()
        self.back.set()
        self._targets = deque(ports)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a port of its own, ``self.port``."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """End all connections without a word."""
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        """End for good, and wait until no connection is left."""
        assert self._server is not None, "start() first"
        self._server.close()
        self.cut()
        # What is held, or on its way to a server, ends too.
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if (connection := await self._connect()) is None:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        there, back = connection
        self._writers.add(back)
        await asyncio.gather(
            self._pass_on(reader, back, self.there), self._pass_on(there, writer, self.back)
        )
        self._writers -= {writer, back}

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in range(len(self._targets)):
            self._targets.rotate()
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self._targets[0])
        return None

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_pass: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay)
                await may_pass.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
