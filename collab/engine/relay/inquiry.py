"""A question to all processes that hold a room, from code that holds none."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from collab.engine.relay.layer_channel import ChannelLayer, LayerChannel, Message
from collab.engine.relay.layer_key import layer_token
from collab.engine.relay.messages import SEVERAL

__all__ = ["ANSWER_TIMEOUT", "FIRST_TIMEOUT", "ask"]

#: If no process answers within this time, none holds the room, in seconds.
FIRST_TIMEOUT = 0.5
#: A process that is known to hold the room has this time to answer, in seconds.
ANSWER_TIMEOUT = 2.0


class _Answers:
    """The answers that have come, and the processes that have yet to answer."""

    def __init__(self, known: set[str] | None) -> None:
        self._by_process: dict[str, Message] = {}
        self._known = set(known or ())
        self.some, self.all = asyncio.Event(), asyncio.Event()
        if known is not None:
            self.some.set()
        self._check()

    def receive(self, message: Message) -> None:
        for part in message["parts"] if message["kind"] == SEVERAL else [message]:
            self._by_process[part["from"]] = part
            self._known.update(part["peers"])
        self.some.set()
        self._check()

    def _check(self) -> None:
        if self.some.is_set() and self._known <= self._by_process.keys():
            self.all.set()

    @property
    def messages(self) -> list[Message]:
        return list(self._by_process.values())


async def ask(
    layer: ChannelLayer, group: str, message: Message, known: set[str] | None
) -> list[Message]:
    """Return the answers of the processes in ``group``.

    Each answer names the other processes that hold the room, so that the number of answers to
    wait for is known with the first.

    Args:
        layer: the channel layer.
        group: of the room.
        message: the question; it gets the channel for the answers.
        known: ids of processes that hold the room; ``None`` if it is not known whether any does.
    """
    answers = _Answers(known)
    if answers.all.is_set():
        return []
    channel = LayerChannel(layer, answers.receive, token=layer_token())
    await channel.start()
    try:
        await channel.send({**message, "channel": channel.name}, group=group)
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_TIMEOUT):
                await answers.some.wait()
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await answers.all.wait()
    finally:
        await channel.close()
    return answers.messages
