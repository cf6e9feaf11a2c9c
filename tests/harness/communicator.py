"""A client of an ASGI application in this process, which waits as long as it takes."""

from __future__ import annotations

from typing import Any

from channels.testing import WebsocketCommunicator

from .waiting import DEADLINE, until

__all__ = ["Communicator"]


class Communicator(WebsocketCommunicator):  # type: ignore[misc]
    """A communicator without the timeouts of Channels: a busy machine misses one second."""

    async def receive_output(
        self,
        timeout: float = DEADLINE,  # noqa: ASYNC109 - as its base has it
    ) -> dict[str, Any]:
        """Return the next message; raise the application's exception if none comes before it."""
        await until(lambda: self.future.done() or not self.output_queue.empty())
        found: dict[str, Any]
        if self.output_queue.empty():
            found = await super().receive_output(timeout=0.01)
        else:
            found = self.output_queue.get_nowait()
        return found

    async def wait(self, timeout: float = DEADLINE) -> None:  # noqa: ASYNC109
        """Wait for the application's end."""
        await super().wait(DEADLINE)
