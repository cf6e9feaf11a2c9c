"""Typists that reconnect whenever their connection ends, as browsers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random

from pycrdt import Text
from websockets.exceptions import WebSocketException

from tests.harness.client import YjsClient

from .typists import Typist

__all__ = ["ReconnectingTypist", "reconnecting_typists"]

#: Pause before the next attempt to connect, in seconds.
PAUSE = 0.1


class ReconnectingTypist(Typist):
    """A typist that goes on typing without a connection and reconnects at once.

    Args:
        client: not connected yet.
        name: unique among the typists of a document.
        random: chooses places and pauses.
    """

    def __init__(self, client: YjsClient, name: str, random: Random) -> None:
        super().__init__(client, name, random)
        #: When connections ended, in the time of the event loop, and the close codes.
        self.ends: list[tuple[float, int]] = []
        #: The longest time without a letter of anybody else, in seconds.
        self.longest_gap = 0.0
        self._heard = 0
        self._heard_at = 0.0

    async def stay(self) -> None:
        """Connect again whenever the connection ends; until cancelled."""
        while True:
            code = await self._closed()
            self.ends.append((asyncio.get_running_loop().time(), code))
            await self._come_back()

    def watch(self) -> None:
        """Begin to measure ``longest_gap``."""
        self._heard_at = asyncio.get_running_loop().time()
        self.client.listeners.append(self._listen)

    def unwatch(self) -> None:
        """End that."""
        self.client.listeners.remove(self._listen)

    async def _closed(self) -> int:
        # Connections last longer than a test waits for anything.
        ended = asyncio.Event()
        self.client.listeners.append(ended.set)
        try:
            while self.client.close_code is None:
                ended.clear()
                await ended.wait()
        finally:
            self.client.listeners.remove(ended.set)
        return self.client.close_code

    async def _come_back(self) -> None:
        while True:
            with suppress(OSError, WebSocketException):
                return await self.connect()
            # As clients do: the server may still be starting.
            await asyncio.sleep(PAUSE)

    def _listen(self) -> None:
        own = sum(map(len, self.words))
        heard = len(self.client.doc.get("text", type=Text)) - own
        if heard > self._heard:
            now = asyncio.get_running_loop().time()
            self.longest_gap = max(self.longest_gap, now - self._heard_at)
            self._heard, self._heard_at = heard, now


@asynccontextmanager
async def reconnecting_typists(
    urls: Sequence[str], seed: int = 0
) -> AsyncIterator[list[ReconnectingTypist]]:
    """Run a typist at each of ``urls`` until the block ends, or ``finish()``."""
    people = [
        ReconnectingTypist(YjsClient(url), f"r{number}.", Random(f"{number} {seed}"))
        for number, url in enumerate(urls)
    ]
    for person in people:
        await person.connect()
        person.watch()
    staying = [asyncio.create_task(person.stay()) for person in people]
    typing = asyncio.gather(*(person.run() for person in people))
    try:
        yield people
    finally:
        for person in people:
            person.stop()
            person.unwatch()
        await typing
        for task in staying:
            task.cancel()
        await asyncio.gather(*staying, return_exceptions=True)
        for person in people:
            if person.client.connected:
                await person.client.disconnect()
