"""Clients that type while tests cause faults, and know the expected text."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random

from websockets.exceptions import ConnectionClosed

from tests.harness.client import YjsClient, wait_until
from tests.harness.server import Server

__all__ = ["MARK", "Typist", "finish", "passed_on", "read", "type_on", "typing", "words_of"]

#: Part of every word, so that a test can see whether content gets into the log.
MARK = "s3cret"


def words_of(text: str) -> list[str]:
    """Return the words of a text by typists, all of them whole."""
    words = re.findall(r"<[^<>]*>", text)
    assert "".join(words) == text
    return words


async def read(server: Server, room: str, route: str = "ws") -> str:
    """Return the text of a document as one who opens it now gets it."""
    async with server.client(room, route) as reader:
        return reader.text


class Typist:
    """Types one numbered word after the other, between any two words, connected or not.

    Args:
        client: is not yet connected.
        name: unique among the typists of a document.
        random: chooses places and pauses.
    """

    def __init__(self, client: YjsClient, name: str, random: Random) -> None:
        self.client = client
        self.name = name
        self.words: list[str] = []
        self._random = random
        self._saved = 0
        #: Number of a frame, and of the words that are stored once it and those before it are.
        self._marks: list[tuple[int, int]] = []
        #: All that was typed before this connection has been sent on it.
        self._caught_up = False
        self._stopped = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Typist {self.name}: {len(self.saved)} of {len(self.words)} saved, {self.client}>"

    @property
    def saved(self) -> Sequence[str]:
        """The words that the server has said are stored."""
        while self._marks and self._marks[0][0] <= self.client.saved:
            self._saved = self._marks.pop(0)[1]
        return self.words[: self._saved]

    async def connect(self) -> None:
        """Connect, and bring what was typed meanwhile."""
        self._saved = len(self.saved)
        self._marks.clear()
        self._caught_up = False
        await self.client.connect()
        await self.client.hello()
        await self.client.wait_until(lambda: self.client.synced)
        # So the client has answered the server's first step, which came before.
        self._caught_up = True
        self._marks.append((self.client.sent, len(self.words)))

    async def run(self) -> None:
        """Type until ``stop()``."""
        while not self._stopped.is_set():
            await self._type_word()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._random.uniform(0, 0.03)):
                    await self._stopped.wait()

    def stop(self) -> None:
        """End ``run()``."""
        self._stopped.set()

    async def _type_word(self) -> None:
        word = f"<{MARK} {self.name}{len(self.words)}>"
        self.words.append(word)
        if self._caught_up:
            self._marks.append((self.client.sent + 1, len(self.words)))
        # If the connection has just ended, the word goes out with the next.
        with suppress(ConnectionClosed):
            await self.client.insert(word, self._place())

    def _place(self) -> int:
        ends = [match.end() for match in re.finditer(">", self.client.text)]
        return self._random.choice([0, *ends])


@asynccontextmanager
async def typing(
    server: Server, room: str, *, names: str = "abcd", seed: int = 0
) -> AsyncIterator[list[Typist]]:
    """Run a typist for each letter of ``names`` until the block ends, or ``finish()``."""
    typists = [Typist(server.client(room), name, Random(f"{name}{seed}")) for name in names]
    async with AsyncExitStack() as stack:
        for typist in typists:
            await typist.connect()
            stack.push_async_callback(typist.client.disconnect)
        runs = asyncio.gather(*(typist.run() for typist in typists))
        try:
            yield typists
        finally:
            for typist in typists:
                typist.stop()
            await runs


def passed_on(typists: Sequence[Typist]) -> set[str]:
    """Return the words that the server must have received, as somebody else has them."""
    heard = (set(words_of(typist.client.text)) - set(typist.words) for typist in typists)
    return set().union(*heard)


async def type_on(typists: Sequence[Typist], count: int) -> None:
    """Wait until ``count`` more words are typed."""
    enough = sum(len(typist.words) for typist in typists) + count
    await wait_until(
        lambda: sum(len(typist.words) for typist in typists) >= enough,
        *(typist.client for typist in typists),
    )


async def finish(typists: Sequence[Typist]) -> str:
    """Stop typing; return the text, once everybody has every letter and the server stored it."""
    clients = [typist.client for typist in typists]
    for typist in typists:
        typist.stop()
    await wait_until(lambda: all(len(one.saved) == len(one.words) for one in typists), *clients)
    await wait_until(lambda: len({client.text for client in clients}) == 1, *clients)
    expected = Counter(word for typist in typists for word in typist.words)
    assert Counter(words_of(clients[0].text)) == expected
    return clients[0].text
