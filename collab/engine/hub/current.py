"""The hub of each event loop, and access to all of them from any thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context

from channels.layers import channel_layers
from django.apps import apps

from collab.conf import get_settings, get_storage
from collab.engine.hub.hub import Hub
from collab.engine.relay import timings
from collab.engine.relay.publisher import shared_layer
from collab.engine.relay.relay import Relay
from collab.engine.runtime.per_loop import PerLoop
from collab.engine.runtime.shutdown import drain_on_sigterm, run_at_exit
from collab.engine.storing.document_store import DocumentStore

__all__ = ["current_hub", "end_services", "end_serving", "in_all_hubs", "live_hubs"]

logger = logging.getLogger("collab.hub")


#: Called with a timeout, in a worker thread, when the last hub of the process has closed: ends
#: background work that serves documents.
end_services: list[Callable[[float], object]] = []


def _make_hub() -> Hub:
    if not apps.is_installed("collab"):
        logger.error(
            '"collab" is not in INSTALLED_APPS: add it. Without it no system check runs, and no'
            " documents.py is read."
        )
    store = DocumentStore(get_storage(), get_settings())
    layer = shared_layer(channel_layers.__getitem__)
    relay = None if layer is None else Relay(layer, timings.DEFAULT)
    cancel = run_at_exit(store.spool_at_exit)

    async def forget(hub: Hub) -> None:
        cancel()
        await _forget(hub)

    hub = Hub(store, relay, on_closed=forget)
    drain_on_sigterm(end_serving)
    return hub


async def end_serving() -> None:
    """Close all connections of this event loop, store their updates, and end background work."""
    for hub in [hub for hub in live_hubs() if hub.is_here()]:
        # The server may end because of a second signal, while the first one drains.
        await hub.drain()
    await _end_services()


async def _forget(hub: Hub) -> None:
    _hubs.forget(hub.loop)
    if not live_hubs():
        await _end_services()


async def _end_services() -> None:
    for end in end_services:
        await asyncio.to_thread(end, get_settings().CLOSE_TIMEOUT)


_hubs = PerLoop(_make_hub)


def current_hub() -> Hub:
    """Return the hub of the running event loop."""
    return _hubs.current()


def live_hubs() -> list[Hub]:
    """Return the hubs of all event loops that run; may be called from any thread."""
    return _hubs.all()


def in_all_hubs(call: Callable[[Hub], None]) -> None:
    """Call ``call`` with each hub of the process, in the hub's own thread."""
    for hub in live_hubs():
        # Not in the caller's context: work that the hub starts outlives the caller, and with it
        # the thread in which asgiref runs the caller's synchronous code.
        if hub.is_here():
            Context().run(call, hub)
        else:
            hub.loop.call_soon_threadsafe(call, hub, context=Context())
