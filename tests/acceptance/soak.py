"""Many people, several processes, and everything that can go wrong, for as long as one likes.

``make soak`` runs it for minutes, a test for seconds. People insert words of their own into
texts; some leave for good and take their copy with them. Meanwhile servers are killed, stopped
and restarted, Redis and PostgreSQL go away and come back, and networks are cut and slow. In the
end all copies of each text must be equal, the stored one too, with every word of those who
stayed, and every word that anybody was told is saved.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from websockets.exceptions import WebSocketException

from tests.harness.client import YjsClient, wait_until
from tests.harness.proxy import Proxy
from tests.harness.server import Server
from tests.harness.services import Postgres, Redis

__all__ = ["Soak", "SoakSize"]

#: How long all may take to be equal after the last fault, in seconds.
SETTLE = 60.0
#: How often a client tries to come back in the end, ever later.
ATTEMPTS = 8

LOST = (OSError, WebSocketException, AssertionError)


@dataclass(frozen=True)
class SoakSize:
    """The numbers of a run."""

    clients: int = 50
    rooms: int = 20
    seconds: float = 120.0
    seed: int = 0


@dataclass
class Person:
    """Types into a text, and knows what must be in it."""

    name: str
    room: str
    client: YjsClient
    typed: list[str] = field(default_factory=list)
    #: So many of them are saved for certain.
    told_saved: int = 0

    def note_saved(self) -> None:
        client = self.client
        if client.connected and client.synced and 0 < client.sent <= client.saved:
            self.told_saved = len(self.typed)

    async def type(self, chance: random.Random) -> None:
        word = f"<{self.name}.{len(self.typed)}>"
        text = self.client.text
        # Between two words, so that each stays in one piece.
        gaps = [0, *(index + 1 for index, letter in enumerate(text) if letter == ">")]
        self.typed.append(word)
        await self.client.insert(word, chance.choice(gaps[-20:]))


class Soak:
    """One run.

    Args:
        servers: processes on one database and one Redis.
        postgres: their database's server.
        redis: their Redis.
        size: of the run.
        say: is told how it goes.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        postgres: Postgres,
        redis: Redis,
        size: SoakSize,
        say: Callable[[str], None] = print,
    ) -> None:
        self.size = size
        self.survived: Counter[str] = Counter()
        self._servers = servers
        self._postgres, self._redis = postgres, redis
        self._proxies = [Proxy(server.port) for server in servers]
        self._chance = random.Random(size.seed)
        self._say = say
        self._people: list[Person] = []
        self._gone: list[Person] = []
        self._over = False

    async def run(self) -> None:
        """Run to the end.

        Raises:
            AssertionError: copies differ, or a word is missing.
        """
        for proxy in self._proxies:
            await proxy.start()
        self._people = [self._person(number) for number in range(self.size.clients)]
        typing = [asyncio.create_task(self._live(person)) for person in self._people]
        await self._go_wrong()
        self._over = True
        await asyncio.gather(*typing)
        self._say("all faults are over; waiting until all is equal")
        for number in range(self.size.rooms):
            await self._check(f"soak {number}")
        for proxy in self._proxies:
            await proxy.close()
        self._say(f"survived {dict(self.survived)}")

    def _person(self, number: int) -> Person:
        room = f"soak {number % self.size.rooms}"
        return Person(f"p{number}", room, YjsClient(self._address(room)))

    def _address(self, room: str) -> str:
        proxy = self._chance.choice(self._proxies)
        port = self._servers[0].port
        return self._servers[0].url(room).replace(f":{port}/", f":{proxy.port}/")

    async def _live(self, person: Person) -> None:
        while not self._over:
            try:
                await self._visit(person)
            except LOST:
                # As clients do before they connect again.
                await asyncio.sleep(0.1)

    async def _visit(self, person: Person) -> None:
        client, chance = person.client, random.Random(f"{person.name} {len(person.typed)}")
        client.url = self._address(person.room)
        await client.connect()
        try:
            await client.hello()
            while not self._over and client.connected and chance.random() > 0.01:
                person.note_saved()
                await person.type(chance)
                self.survived["words"] += 1
                # A person types no faster.
                await asyncio.sleep(chance.random() * 0.2)
                person.note_saved()
            self.survived["visits"] += 1
            if chance.random() < 0.05:
                self._leave_for_good(person)
        finally:
            with suppress(*LOST):
                await client.abort()

    def _leave_for_good(self, person: Person) -> None:
        """Replace a client by another one; what was saved must stay, the rest may go."""
        self._gone.append(Person(person.name, person.room, person.client))
        self._gone[-1].typed = person.typed[: person.told_saved]
        person.name += "'"
        person.client = YjsClient(person.client.url)
        person.typed, person.told_saved = [], 0

    # Faults.

    async def _go_wrong(self) -> None:
        faults: list[Callable[[], Awaitable[None]]] = [
            self._kill_server,
            self._restart_server,
            self._hang_server,
            self._cut_network,
            self._slow_network,
            self._restart_redis,
            self._restart_postgres,
        ]
        loop = asyncio.get_running_loop()
        end = loop.time() + self.size.seconds
        while loop.time() < end:
            # Between two faults, people work undisturbed.
            await asyncio.sleep(0.5 + self._chance.random())
            fault = self._chance.choice(faults)
            name = fault.__name__.lstrip("_").replace("_", " ")
            self._say(f"{end - loop.time():5.0f} s to go: {name}")
            self.survived[name] += 1
            await fault()

    async def _kill_server(self) -> None:
        server = self._chance.choice(self._servers)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)

    async def _restart_server(self) -> None:
        await asyncio.to_thread(self._chance.choice(self._servers).restart)

    async def _hang_server(self) -> None:
        server = self._chance.choice(self._servers)
        server.pause()
        # The fault lasts for this long.
        await asyncio.sleep(1 + 2 * self._chance.random())
        server.resume()

    async def _cut_network(self) -> None:
        self._chance.choice(self._proxies).cut()

    async def _slow_network(self) -> None:
        proxy = self._chance.choice(self._proxies)
        proxy.delay = 0.2
        # The fault lasts for this long.
        await asyncio.sleep(1)
        proxy.delay = 0.0

    async def _restart_redis(self) -> None:
        await asyncio.to_thread(self._redis.kill)
        # The fault lasts for this long.
        await asyncio.sleep(self._chance.random())
        await asyncio.to_thread(self._redis.start)

    async def _restart_postgres(self) -> None:
        await asyncio.to_thread(self._postgres.kill)
        # The fault lasts for this long.
        await asyncio.sleep(self._chance.random())
        await asyncio.to_thread(self._postgres.start)

    # The end.

    async def _check(self, room: str) -> None:
        people = [person for person in self._people if person.room == room]
        readers = [server.client(room) for server in self._servers]
        clients = [*readers, *(person.client for person in people)]
        for client in clients:
            await _come_back(client)
        words = {word for person in people for word in person.typed}
        saved = {word for person in self._gone if person.room == room for word in person.typed}
        await wait_until(
            lambda: (
                len({client.text for client in clients}) == 1
                and (words | saved) <= _words(clients[0].text)
            ),
            *clients,
            within=SETTLE,
        )
        counts = Counter(_split(clients[0].text))
        assert max(counts.values(), default=1) == 1, f"words are doubled in {room}"
        for client in clients:
            await client.hello()
            await client.wait_saved()
            await client.disconnect()
        self.survived["rooms equal"] += 1
        self.survived["words found"] += len(counts)


async def _come_back(client: YjsClient) -> None:
    """Connect, more than once if need be, as all clients do.

    A process may not have noticed yet that the database was restarted.
    """
    for attempt in range(ATTEMPTS):
        await client.connect()
        try:
            await client.hello()
        except (ConnectionError, WebSocketException):
            # As clients do: a server that starts again gets more time with each attempt.
            await asyncio.sleep(0.1 * 2**attempt)
        else:
            return
    raise AssertionError(f"not let in: {client}")


def _split(text: str) -> list[str]:
    return [f"{word}>" for word in text.split(">") if word]


def _words(text: str) -> set[str]:
    return set(_split(text))
