"""Whatever the layer does: all clients, all processes and the storage end equal (I3)."""

from __future__ import annotations

import asyncio
import random

import pytest

from collab.testing.lossy_layer import LossyChannelLayer
from tests.engine.processes import Client, Cluster, cluster
from tests.harness.waiting import until
from tests.protocol.yjs.samples import content

TIMINGS = {
    "timeout": 0.2,
    "digest": 0.1,
    "peer": 1,
    "patience": 0.02,
    "tick": 0.005,
    "long_tick": 0.05,
}


class Person:
    """Types, deletes, leaves, and comes back through any process."""

    def __init__(self, dice: random.Random, processes: Cluster, letter: str) -> None:
        self._dice = dice
        self._processes = processes
        self._letter = letter
        self.typed = 0
        self.client = self._somewhere()

    def _somewhere(self, client: Client | None = None) -> Client:
        process = self._dice.choice(self._processes.processes)
        return Client(process, doc=client.doc if client else None)

    async def act(self) -> None:
        action = self._dice.random()
        if action < 0.05:
            self.client.leave()
            self.client = self._somewhere(self.client)
            await self.client.enter()
        elif action < 0.2:
            self.client.show()
        else:
            self.client.receive()
            self.typed += 1
            at = self._dice.randint(0, len(content(self.client.doc)))
            self.client.type(f"{self._letter}{self.typed};", at)

    def is_complete(self, text: str) -> bool:
        """Return whether all letters of this person are in ``text``, each as often as typed."""
        return text.count(self._letter) == self.typed


@pytest.mark.parametrize("drop", [0, 0.3, 0.9, 1])
@pytest.mark.parametrize("seed", range(3))
async def test_all_copies_are_equal_in_the_end(drop: float, seed: int) -> None:
    dice = random.Random(seed)
    rest = (1 - drop) / 3
    layer = LossyChannelLayer(drop=drop, repeat=rest, delay=rest, longest=0.05, seed=seed)
    async with cluster(layer=layer, timings=TIMINGS, RELAY_STORAGE_INTERVAL=0.1) as processes:
        for _ in range(3):
            processes.start()
        people = [Person(dice, processes, letter) for letter in "abcdef"]
        await asyncio.gather(*(person.client.enter() for person in people))
        for _ in range(150):
            await dice.choice(people).act()
            # In the same turn or a moment later: either is a case of this test.
            await asyncio.sleep(dice.choice([0, 0, 0.001]))
        await until(lambda: all(p.is_complete(q.client.text) for p in people for q in people))
        (text,) = {person.client.text for person in people}
        await processes.wait_stored(text)
        await until(lambda: _copies(processes) <= {text})


def _copies(processes: Cluster) -> set[str]:
    """Return what the processes hold; one that nobody is connected to may be a moment later."""
    hubs = [process.hub for process in processes.processes]
    return {str(content(room.doc)) for hub in hubs for room in hub.rooms.values()}
