from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from collab.engine.rooms.member import Member
from collab.engine.storing.unsaved import UnsavedUpdates
from collab.protocol.effects import RoomUpdate
from tests.protocol.yjs.samples import HELLO


class Interrupted(list[RoomUpdate[Member]]):
    """Updates that another thread replaces while they are read, unless it has to wait."""

    def __init__(self, change: Callable[[], Any]) -> None:
        super().__init__()
        self.thread = threading.Thread(target=change)

    def __iter__(self) -> Iterator[RoomUpdate[Member]]:
        self.thread.start()
        # A thread that does not have to wait is done long before.
        self.thread.join(0.05)
        return super().__iter__()


async def test_an_update_that_goes_in_flight_meanwhile_is_found_once() -> None:
    updates, update = UnsavedUpdates(), RoomUpdate[Member](HELLO)
    updates.add("notes", [update])
    updates.in_flight["notes"] = queue = Interrupted(lambda: updates.take(["notes"]))
    assert updates.of("notes") == [update]
    queue.thread.join()
    assert updates.in_flight == {"notes": [update]}
