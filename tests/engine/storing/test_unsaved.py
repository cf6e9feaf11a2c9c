from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from collab.engine.rooms.member import Member
from collab.engine.storing.unsaved import UnsavedUpdates, Updates
from collab.protocol.effects import RoomUpdate
from tests.protocol.yjs.samples import HELLO


class Interrupted(dict[str, Updates]):
    """A queue that another thread changes between two reads, unless it has to wait."""

    def __init__(self, content: dict[str, Updates], change: Callable[[], Any]) -> None:
        super().__init__(content)
        self.thread = threading.Thread(target=change)

    def get(self, *arguments: Any) -> Any:
        found = super().get(*arguments)
        self.thread.start()
        # A thread that does not have to wait is done long before.
        self.thread.join(0.05)
        return found


async def test_an_update_that_goes_in_flight_meanwhile_is_found_once() -> None:
    updates, update = UnsavedUpdates(), RoomUpdate[Member](HELLO)
    updates.add("notes", [update])
    updates.in_flight = queue = Interrupted({}, lambda: updates.take(["notes"]))
    assert updates.of("notes") == [update]
    queue.thread.join()
    assert dict(updates.in_flight) == {"notes": [update]}
