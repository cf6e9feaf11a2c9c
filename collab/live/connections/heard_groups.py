"""The groups that one connection listens to, and the events that it passes on."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any, Protocol, cast

from channels.db import database_sync_to_async

from collab.live.actions import call_queue
from collab.live.actions.call_queue import Start, error_of
from collab.live.events import groups
from collab.live.events.encoding import frame
from collab.live.events.events import NOTIFICATION, SYSTEM, handlers_of, kept_events
from collab.live.events.groups import INTERNAL, Event

__all__ = ["EventTarget", "HeardGroups"]

logger = logging.getLogger("collab.live")

#: At most this number of groups for which a client may send its newest number.
_MOST_SINCE = 1_000
#: Largest number that the database has.
_MOST_NUMBER = 2**63 - 1
_ACTIONS = {NOTIFICATION: "notification", SYSTEM: "system"}


class EventTarget(Protocol):
    """The connection, as its groups use it."""

    #: The project's; its class has the handlers.
    consumer: Any
    #: The client understands text frames.
    accepts_text: bool
    #: It is known which events the client has.
    is_greeted: bool

    @property
    def log_context(self) -> dict[str, str | None]:
        """The ``extra`` of log records."""

    def send_now(self, text: str) -> None:
        """Send a text frame at once."""

    def enqueue_event(self, start: Start) -> None:
        """Run a handler after the calls and events before it."""

    def refuse_events(self) -> None:
        """Close the connection, which cannot keep up."""

    async def ready(self) -> None:
        """Wait until the client has read the frames before."""


class HeardGroups:
    """Listens to groups on behalf of one connection.

    An event with a number is passed on in the order of the numbers, each once: a missing number
    makes the connection read the stored events of the group first.

    Args:
        target: the connection.
    """

    def __init__(self, target: EventTarget) -> None:
        self._target = target
        #: Groups that are listened to; with events that wait while older ones are being read.
        self._heard: dict[str, deque[Event] | None] = {}
        #: Numbers, by group, of the newest event that was passed on, and that the client had.
        self._newest: dict[str, int] = {}
        self._since: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._heard

    async def listen(self, name: str) -> None:
        """Listen to a group, internal ones included; none of its stored events is passed on."""
        self._heard.setdefault(name, None)
        await groups.join(name, self)

    async def listen_and_replay(self, name: str) -> None:
        """Listen to a group, and pass on its stored events that the client has not had."""
        if self._target.accepts_text:
            # An event that comes before the stored ones are read waits for them.
            self._heard[name] = deque()
        await self.listen(name)
        if self._target.is_greeted:
            await self._replay(name)

    async def drop(self, name: str) -> None:
        """Listen to a group no longer."""
        del self._heard[name]
        self._newest.pop(name, None)
        await groups.leave(name, self)

    async def end(self) -> None:
        """Listen to none any longer."""
        for name in list(self._heard):
            await groups.leave(name, self)

    def remember_numbers(self, since: Any) -> None:
        """Remember the numbers, by group, of the newest events that the client has.

        Args:
            since: as the client has sent them; ignored unless it is an object.
        """
        if isinstance(since, dict):
            self._since = {
                group: number
                for group, number in islice(since.items(), _MOST_SINCE)
                if isinstance(number, int) and 0 <= number <= _MOST_NUMBER
            }

    async def replay_all(self) -> None:
        """Pass on the stored events of all groups that the client has not had."""
        for name in list(self._heard):
            await self._catch_up(name)

    # Events.

    def receive_event(self, event: Event) -> None:
        """Pass on an event of a group: to the consumer's handler, or else to the client."""
        group, number = event.group, event.number
        if number is None or not self._target.accepts_text or group not in self._heard:
            self._pass_on(event)
        elif (waiting := self._heard[group]) is not None:
            if len(waiting) < call_queue.MAX_EVENTS:
                waiting.append(event)
            else:
                self._target.refuse_events()
        elif number == self._newest_of(group) + 1:
            self._pass_on(event)
        elif number > self._newest_of(group):
            # Some were lost, or come later.
            self._heard[group] = deque([event])
            self._target.enqueue_event(partial(self._catch_up, group))

    def _newest_of(self, group: str) -> int:
        return self._newest.get(group, self._since.get(group, 0))

    def _pass_on(self, event: Event) -> None:
        handler = handlers_of(type(self._target.consumer)).get(event.type)
        if event.number is not None and (handler or self._target.accepts_text):
            self._newest[event.group] = event.number
        if handler:
            self.enqueue_handler(handler, event.as_dict())
        elif action := _ACTIONS.get(event.type):
            self._target.send_now(frame(action, event.payload))
        elif not event.type.startswith(INTERNAL):
            self._target.send_now(event.frame)

    def enqueue_handler(self, handler: Any, event: dict[str, Any]) -> None:
        """Call a handler of the consumer after the calls and events before it."""
        self._target.enqueue_event(partial(self._handle, handler, event))

    async def _handle(self, handler: Any, event: dict[str, Any]) -> None:
        if error := await error_of(handler(self._target.consumer, event)):
            text = "Handler of event %r failed."
            logger.error(text, event["type"], exc_info=error, extra=self._target.log_context)

    # Stored events.

    async def _catch_up(self, group: str) -> None:
        if error := await error_of(self._replay(group)):
            # Events that come from now on are passed on all the same.
            text = "Stored events could not be read; the client misses them."
            logger.error(text, exc_info=error, extra=self._target.log_context)

    async def _replay(self, group: str) -> None:
        """Pass on the stored events of a group, and then those that have come meanwhile."""
        if group not in self._heard or group.startswith(INTERNAL):
            return
        waiting = self._heard[group] = self._heard[group] or deque()
        try:
            kept = await database_sync_to_async(kept_events)(group, self._newest_of(group))
            waiting.extendleft(reversed(kept))
            while waiting and self._heard.get(group) is waiting:
                self._pass_on_newer([waiting.popleft()])
                await self._target.ready()
        finally:
            if self._heard.get(group) is waiting:
                self._heard[group] = None
                self._pass_on_newer(waiting)

    def _pass_on_newer(self, events: Iterable[Event]) -> None:
        for event in events:
            if cast("int", event.number) > self._newest_of(event.group):
                self._pass_on(event)
