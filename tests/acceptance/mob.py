"""Hostile clients of all kinds at once, in a process of their own.

``python -m tests.acceptance.mob PORT SECONDS`` prints how their connections ended, as JSON: by
the kind of client and close code, how many.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count, islice
from random import Random

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from .attacks import HELLO, mutations, real_updates, step1, step2, update

__all__ = ["ATTACKED", "BIG", "Mob"]

#: The room that is attacked; the honest ones are in it.
ATTACKED = "room"
#: A room so big that who does not read it fills all buffers with it.
BIG = "big"

#: How long sleepers sleep, in seconds: longer than the server puts up with.
NAP = 6.0


class Mob:
    """All of them.

    Args:
        port: of the server.
        seconds: how long they go on.
    """

    def __init__(self, port: int, seconds: float) -> None:
        self.ends: Counter[tuple[str, int]] = Counter()
        self._port = port
        self._seconds = seconds
        self._over = False
        #: Those that would send for ever: so much of theirs waits that no answer would come.
        self._endless: list[ClientConnection] = []

    async def run(self) -> None:
        """Attack, and wait for the end of each connection."""
        kinds: dict[str, tuple[int, Callable[[str, Random], Awaitable[None]]]] = {
            "mutator": (3, self._mutate),
            "giant": (1, self._send_giants),
            "flooder": (2, self._flood),
            "asker": (2, self._ask_on_and_on),
            "sleeper": (3, self._read_nothing),
            "namer": (2, self._open_rooms),
            "churner": (2, self._come_and_go),
        }
        attackers = [
            asyncio.create_task(self._go_on(kind, attack, Random(f"{kind} {number}")))
            for kind, (many, attack) in kinds.items()
            for number in range(many)
        ]
        await asyncio.sleep(self._seconds)
        self._over = True
        for connection in self._endless:
            connection.transport.abort()
        await asyncio.gather(*attackers)

    async def _go_on(
        self, kind: str, attack: Callable[[str, Random], Awaitable[None]], random: Random
    ) -> None:
        while not self._over:
            await attack(kind, random)

    @asynccontextmanager
    async def _connection(
        self, kind: str, room: str = ATTACKED, *, buffered: int | None = None
    ) -> AsyncIterator[ClientConnection]:
        """Connect; how the connection ended is counted, 1000 if it was not the server's doing."""
        # Those who come and go are one user, the others nobody knows.
        query = "?user=7" if kind == "churner" else ""
        connection = await connect(
            f"ws://127.0.0.1:{self._port}/ws/{room}{query}",
            subprotocols=[Subprotocol("collab")],
            compression=None,
            max_queue=buffered,
            max_size=None,
            ping_interval=None,
            proxy=None,
        )
        with suppress(ConnectionClosed):
            yield connection
        await connection.close()
        self.ends[kind, connection.close_code or 1006] += 1

    async def _mutate(self, kind: str, random: Random) -> None:
        async with self._connection(kind) as connection:
            for data in islice(mutations(random), 20):
                await connection.send(random.choice([update, step2])(data))
            await _answer(connection)

    async def _send_giants(self, kind: str, random: Random) -> None:
        async with self._connection(kind) as connection:
            await connection.send(update(random.randbytes(4 * 1024 * 1024)))
            await _answer(connection)

    async def _flood(self, kind: str, random: Random) -> None:
        """Send what is right, but as much as goes."""
        async with self._connection(kind, f"flood-{random.random()}") as connection:
            self._endless.append(connection)
            frames = [update(data) for data in real_updates(random)]
            while True:
                for frame in frames:
                    await connection.send(frame)

    async def _ask_on_and_on(self, kind: str, random: Random) -> None:
        async with self._connection(kind, BIG, buffered=1) as connection:
            self._endless.append(connection)
            reading = asyncio.create_task(_drain(connection))
            with suppress(ConnectionClosed):
                while True:
                    await connection.send(step1())
            await reading

    async def _read_nothing(self, kind: str, random: Random) -> None:
        async with self._connection(kind, BIG, buffered=1) as connection:
            # Each is answered by itself, until all buffers are full.
            for _ in range(40):
                await connection.send(step1())
                await asyncio.sleep(0.02)
            await asyncio.sleep(NAP)
            await _answer(connection)

    async def _open_rooms(self, kind: str, random: Random) -> None:
        for number in count():
            if self._over:
                return
            async with self._connection(kind, f"{random.random()}-{number}") as connection:
                await _answer(connection)

    async def _come_and_go(self, kind: str, random: Random) -> None:
        async with self._connection(kind) as connection:
            await _answer(connection)


async def _drain(connection: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            await connection.recv()


async def _answer(connection: ClientConnection) -> None:
    """Wait until the server has come to what was sent last."""
    await connection.send(HELLO)
    while True:
        message = await connection.recv()
        if isinstance(message, str) and json.loads(message)["action"] == "hello":
            return


async def main(port: int, seconds: float) -> None:
    """Let the mob loose and tell how it ended."""
    mob = Mob(port, seconds)
    await mob.run()
    print(json.dumps([[kind, code, times] for (kind, code), times in mob.ends.items()]))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
