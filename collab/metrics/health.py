"""Health of this process, for load balancers and orchestrators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from channels.layers import channel_layers

from collab.conf import get_storage
from collab.engine.hub.current import live_hubs
from collab.engine.hub.hub import Hub
from collab.engine.relay.layer_channel import ChannelLayer
from collab.engine.relay.publisher import shared_layer
from collab_storage.base import Storage

__all__ = ["MAX_LAG", "TIMEOUT", "Health", "check_health"]

Question = Callable[[], Coroutine[Any, Any, None]]

#: Longest time that a healthy dependency takes to answer, in seconds.
TIMEOUT = 2.0
#: Longest delay of a healthy event loop, in seconds.
MAX_LAG = 2.0

_OK = "ok"
#: A document that need not exist, and a group without members.
_NAME = "collab.metrics.health"

#: Questions without an answer yet, by event loop and check. Requests that arrive meanwhile wait for
#: the same answer, so a storage that hangs costs one thread and not one for each request.
_asked: dict[tuple[asyncio.AbstractEventLoop, str], asyncio.Task[None]] = {}


@dataclass(frozen=True, slots=True)
class Health:
    """The result of a health check.

    Args:
        draining: the process is about to end; its documents are in order.
        checks: ``"ok"`` or the fault, by check.
    """

    draining: bool
    checks: dict[str, str]

    @property
    def status(self) -> str:
        """``"ok"``, ``"draining"`` or ``"failing"``."""
        if any(outcome != _OK for outcome in self.checks.values()):
            return "failing"
        return "draining" if self.draining else _OK


async def check_health() -> Health:
    """Run all checks, within ``TIMEOUT`` seconds."""
    questions = {"storage": partial(_ask_storage, get_storage())}
    if (layer := shared_layer(channel_layers.__getitem__)) is not None:
        questions["channel_layer"] = partial(_ask_layer, layer)
    answers = [_answer(what, question) for what, question in questions.items()]
    checks = dict(zip(questions, await asyncio.gather(*answers), strict=True))
    hubs = live_hubs()
    checks["backlog"] = _backlog(hubs)
    checks["event_loop"] = _event_loop(hubs)
    return Health(any(hub.is_draining for hub in hubs), checks)


async def _ask_storage(storage: Storage) -> None:
    # On a connection of its own: those of the rooms may be busy with a large document.
    async with storage.serving():
        await storage.exists(_NAME)


async def _ask_layer(layer: ChannelLayer) -> None:
    await layer.group_send(_NAME, {"type": _NAME})


async def _answer(what: str, question: Question) -> str:
    key = asyncio.get_running_loop(), what
    if (task := _asked.get(key)) is None:
        task = _asked[key] = asyncio.create_task(question())
        task.add_done_callback(lambda task: _asked.pop(key))
    done, _ = await asyncio.wait([task], timeout=TIMEOUT)
    if not done:
        return f"no answer within {TIMEOUT:g} s"
    # The error's text may name hosts and users.
    return f"fails ({type(error).__name__})" if (error := task.exception()) else _OK


def _backlog(hubs: list[Hub]) -> str:
    if any(hub.writer.is_full for hub in hubs):
        return "more than MAX_UNSAVED bytes wait for the storage"
    return _OK


def _event_loop(hubs: list[Hub]) -> str:
    lag = max((hub.loop_lag.lag for hub in hubs), default=0.0)
    return f"{lag:.1f} s late" if lag > MAX_LAG else _OK
