"""Hostile clients of many kinds at once, in a process of their own.

``python -m tests.acceptance.attack_mix PORT`` prints the number of ended connections by kind of
client and close code, as JSON. Each kind goes on until the server has stopped it a given number of
times, however long that takes, so that the result does not depend on the machine's speed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import islice, repeat
from random import Random
from typing import NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from .attacks import HELLO, mutations, real_updates, step1, step2, update

__all__ = ["ATTACKED", "BIG", "GOALS", "THROTTLED", "AttackMix"]

#: The room that is attacked; the honest ones are in it.
ATTACKED = "room"
#: A room that has so much in it that it is worth asking for it again and again.
BIG = "big"
#: Stands for the close code of who was not sent away but slowed down, and told so.
THROTTLED = 429


class Goal(NamedTuple):
    """The number of clients of a kind, and how often they may be stopped, and how."""

    clients: int
    times: int
    code: int


GOALS = {
    "mutator": Goal(3, 60, 1008),
    "giant": Goal(1, 10, 1009),
    "flooder": Goal(2, 4, THROTTLED),
    "asker": Goal(2, 4, THROTTLED),
    "namer": Goal(2, 20, 1013),
    "churner": Goal(2, 20, 1013),
}


class AttackMix:
    """All of them.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self.ends: Counter[tuple[str, int]] = Counter()
        self._port = port

    async def run(self) -> None:
        """Attack until all have been stopped as often as they want."""
        attacks: dict[str, Callable[[str, Random], Awaitable[None]]] = {
            "mutator": self._mutate,
            "giant": self._send_giants,
            "flooder": self._flood,
            "asker": self._ask_on_and_on,
            "namer": self._open_rooms,
            "churner": self._come_and_go,
        }
        async with asyncio.TaskGroup() as attackers:
            for kind, goal in GOALS.items():
                for number in range(goal.clients):
                    random = Random(f"{kind} {number}")
                    attackers.create_task(self._go_on(kind, attacks[kind], random))

    async def _go_on(
        self, kind: str, attack: Callable[[str, Random], Awaitable[None]], random: Random
    ) -> None:
        while self._is_eager(kind):
            await attack(kind, random)

    def _is_eager(self, kind: str) -> bool:
        return self.ends[kind, GOALS[kind].code] < GOALS[kind].times

    @asynccontextmanager
    async def _connection(self, kind: str, room: str = ATTACKED) -> AsyncIterator[ClientConnection]:
        """Connect; how the connection ended is counted, 1000 if it was not the server's doing."""
        # Those who come and go are one user, the others nobody knows.
        query = "?user=7" if kind == "churner" else ""
        connection = await connect(
            f"ws://127.0.0.1:{self._port}/ws/{room}{query}",
            subprotocols=[Subprotocol("collab")],
            compression=None,
            max_size=None,
            open_timeout=None,
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
        await self._send_until_throttled(kind, map(update, real_updates(random)))

    async def _ask_on_and_on(self, kind: str, random: Random) -> None:
        await self._send_until_throttled(kind, [step1()])

    async def _send_until_throttled(self, kind: str, frames: Iterable[bytes]) -> None:
        async with self._connection(kind, BIG) as connection:
            await connection.send(HELLO)
            sending = asyncio.create_task(_send_for_ever(connection, list(frames)))
            await _read_until(connection, "throttled")
            self.ends[kind, THROTTLED] += 1
            # So much waits on both sides that no close would get through.
            connection.transport.abort()
            await sending

    async def _open_rooms(self, kind: str, random: Random) -> None:
        """Open one room after the other, and keep them all."""
        async with AsyncExitStack() as kept:
            while self._is_eager(kind):
                async with AsyncExitStack() as opened:
                    room = f"{random.random()}"
                    connection = await opened.enter_async_context(self._connection(kind, room))
                    await _answer(connection)
                    kept.push_async_exit(opened.pop_all())

    async def _come_and_go(self, kind: str, random: Random) -> None:
        async with self._connection(kind) as connection:
            await _answer(connection)


async def _send_for_ever(connection: ClientConnection, frames: list[bytes]) -> None:
    with suppress(ConnectionClosed):
        for burst in repeat(frames):
            for frame in burst:
                await connection.send(frame)
            # As long as buffers take it, nothing of the above lets others of the mob run.
            await asyncio.sleep(0)


async def _answer(connection: ClientConnection) -> None:
    """Wait until the server has come to what was sent last."""
    await connection.send(HELLO)
    await _read_until(connection, "hello")


async def _read_until(connection: ClientConnection, action: str) -> None:
    while True:
        message = await connection.recv()
        if isinstance(message, str) and json.loads(message)["action"] == action:
            return


async def main(port: int) -> None:
    """Run the mob, and report how it ended."""
    mix = AttackMix(port)
    await mix.run()
    print(json.dumps([[kind, code, times] for (kind, code), times in mix.ends.items()]))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
