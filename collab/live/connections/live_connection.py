"""One connection of a live channel, with a document or without."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from collab.conf import get_settings
from collab.consumers import serving_connection
from collab.engine.connections.fast_path import Receive, Send
from collab.engine.hub.current import current_hub
from collab.engine.serving.connection import ConsumerConnection
from collab.engine.serving.served_consumer import ServedConsumer, group_name
from collab.exceptions import ProtocolViolation, TryAgainLater
from collab.live.actions.actions import Action, actions_of
from collab.live.actions.call_queue import CALL, EVENT, CallQueue, Start, error_of
from collab.live.actions.runtime_state import check_variable
from collab.live.connections.heard_groups import HeardGroups
from collab.live.errors import CallError
from collab.live.events import groups
from collab.live.events.encoding import frame
from collab.live.events.events import EVERYBODY, handlers_of, user_group
from collab.protocol.effects import Reply
from collab.protocol.session import Request

__all__ = ["ConnectionPart", "LiveConnection", "ServedLiveConsumer", "connection_of"]

logger = logging.getLogger("collab.live")

#: A client without a document has this many seconds to send a hello before stored events are sent.
_HELLO_TIMEOUT = 0.3

_TOO_MANY = "You have too many calls under way; wait for their answers."


class ServedLiveConsumer(ServedConsumer, Protocol):
    """The documented names of a live consumer that its connection uses; see ``LiveConsumer``."""

    @property
    def has_document(self) -> bool:
        """Return whether there is a document beside the actions."""

    async def on_connected(self) -> None:
        """Begin."""

    async def on_disconnected(self) -> None:
        """End."""

    async def on_user_changed(self) -> None:
        """Handle that the connection's user has logged in or out."""

    async def check_permissions(self, action: str, **kwargs: Any) -> None:
        """Raise unless the action may be called."""

    async def handle_exception(
        self, error: Exception, action: str, request_id: str | float | None
    ) -> None:
        """Answer a call that has failed."""

    async def reply(
        self,
        action: str,
        data: Any = None,
        errors: Sequence[Any] | None = None,
        status: int = 200,
        request_id: str | float | None = None,
    ) -> None:
        """Answer a call."""


@dataclass(eq=False)
class ConnectionPart:
    """State that a mixin of consumers keeps for one connection; see ``LiveConnection.part``.

    Args:
        connection: whose.
    """

    connection: LiveConnection

    async def forget_user(self) -> None:
        """End the work for the former user; called when the user has changed."""

    async def end(self) -> None:
        """End work that outlives the connection's tasks and groups; called when it has ended."""


#: Data and status of a call whose method returned nothing.
_NOTHING = (None, 204)

Part = TypeVar("Part", bound=ConnectionPart)


class LiveConnection(ConsumerConnection):
    """One client's connection to a live channel.

    The calls of its client, and the events that the consumer handles, run one after the other in
    a task of their own (:class:`collab.live.actions.call_queue.CallQueue`).
    """

    consumer: ServedLiveConsumer

    def __init__(
        self,
        consumer: ServedLiveConsumer,
        base: type,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        super().__init__(consumer, base, scope, receive, send)
        self.calls = CallQueue(get_settings().MAX_TEXT_SIZE)
        self.heard = HeardGroups(self)
        #: The client understands text frames: it has sent one, or there is no document.
        self.accepts_text = False
        #: The client has had time to send a hello, which has the numbers of the events it has.
        self.is_greeted = False
        self._greeting: asyncio.TimerHandle | None = None
        self.runtime: dict[str, Any] = {}
        #: Text frames that the project has sent before the connection has joined.
        self._early: list[str] = []
        self._is_connected = False
        #: Groups that every connection is in, and every connection of the user.
        self._own_groups: list[str] = []
        #: The client awaits an answer to each call: it has said so in its hello.
        self._awaits_answers = False
        #: Calls under way that no answer was sent to.
        self._unanswered: set[str | float | None] = set()
        self._parts: dict[type[ConnectionPart], Any] = {}

    @property
    def has_document(self) -> bool:
        """Return whether the connection opens a document."""
        return self.consumer.has_document

    @property
    def needs_channel(self) -> bool:
        """Return whether the connection needs a channel of its own: it may join groups."""
        return True

    def part(self, kind: type[Part]) -> Part:
        """Return this connection's ``kind``, made when it is first asked for."""
        if kind not in self._parts:
            self._parts[kind] = kind(self)
        found: Part = self._parts[kind]
        return found

    # Life.

    async def join(self) -> None:
        """Become a member, of a room if there is a document, and listen to the own groups."""
        if self.has_document:
            await super().join()
        else:
            member = self.new_member()
            current_hub().enter(member)
            self._hub, self._member, self.accepts_text = current_hub(), member, True
            loop = asyncio.get_running_loop()
            self._greeting = loop.call_later(_HELLO_TIMEOUT, self._replay_events)
        early, self._early = self._early, []
        for text in early:
            self._send_frame(text)
        await self._join_own_groups()
        self._is_connected = True
        await self.consumer.on_connected()

    async def recheck_access(self, *, routine: bool = False) -> None:
        """Look up the user and the user's permissions again, and act on the answer."""
        await super().recheck_access(routine=routine)
        if self._is_connected and self._own_groups[1:] != self._user_groups():
            await self._leave_own_groups()
            await self._join_own_groups()
            for part in list(self._parts.values()):
                await part.forget_user()
            await self.consumer.on_user_changed()

    async def leave(self) -> None:
        """End calls, groups and parts, and leave."""
        self._cancel_greeting()
        if self._member is not None and not self.has_room:
            self._hub.leave(self._member)
        try:
            await asyncio.gather(self.calls.end(get_settings().CLOSE_TIMEOUT), self.leave_room())
        finally:
            # No failure may keep the connection open forever.
            await self._leave_own_groups()
            await self.heard.end()
            for part in list(self._parts.values()):
                await part.end()
        if self._is_connected:
            await self.consumer.on_disconnected()

    def _user_groups(self) -> list[str]:
        return [] if self.user_id is None else [user_group(self.user_id)]

    async def _join_own_groups(self) -> None:
        self._own_groups = [EVERYBODY, *self._user_groups()]
        for name in self._own_groups:
            await groups.join(name, self.heard)

    async def _leave_own_groups(self) -> None:
        for name in self._own_groups:
            await groups.leave(name, self.heard)

    # Groups.

    async def add_group(self, name: str) -> None:
        """Listen to a group, and to the channel layer's group of that name."""
        if name in self.heard:
            return
        try:
            if _has_layer_group(name) and self.layer_channel is not None:
                await self.layer_channel.join(name)
            await self.heard.listen_and_replay(name)
        except BaseException:
            # The next attempt replays the stored events, then.
            await self.remove_group(name)
            raise

    async def remove_group(self, name: str) -> None:
        """Listen to a group no longer."""
        if name not in self.heard:
            return
        await self.heard.drop(name)
        if _has_layer_group(name) and self.layer_channel is not None:
            await self.layer_channel.leave(name)

    def handler_of(self, message: dict[str, Any]) -> Any:
        """Return the consumer's method for ``message``, or a function that enqueues its handler."""
        own = super().handler_of(message)
        handler = handlers_of(type(self.consumer)).get(message["type"])
        return partial(self._enqueue_handler, handler) if handler and own is None else own

    async def _enqueue_handler(self, handler: Any, message: dict[str, Any]) -> None:
        self.heard.enqueue_handler(handler, message)

    def enqueue_event(self, start: Start) -> None:
        """Run a handler after the calls and events before it, unless too many wait."""
        if not self.calls.enqueue(EVENT, start):
            self.refuse_events()

    def refuse_events(self) -> None:
        """Close the connection, which cannot keep up with its events."""
        # Events may come until a connection that ends has left its groups.
        if self._member is not None and not self._member.is_closed:
            reason = "This connection cannot keep up with its events."
            self._member.refuse(TryAgainLater(reason, limit="MAX_EVENTS"))

    # Frames.

    def receive_bytes(self, frame: bytes) -> None:
        """Handle a binary frame, which only a document has."""
        if self._member is not None and not self.has_room:
            raise ProtocolViolation("There is no document here; send text frames.")
        super().receive_bytes(frame)

    def receive_text(self, frame: str) -> None:
        """Handle a text frame: a call."""
        if self._member is not None and not self._member.is_closed:
            request = self._member.session.read_request(frame)
            if isinstance(request, Reply):
                self._member.send_frame(request.frame)
            else:
                self._receive_request(request, len(frame))

    def _receive_request(self, request: Request, size: int) -> None:
        assert self._member is not None
        is_first, self.accepts_text = not self.accepts_text, True
        if not (self.is_greeted or is_first or request.action == "hello"):
            self._replay_events()
        if action := actions_of(type(self.consumer)).get(request.action):
            call = partial(self._call, action, request)
            put = self.calls.detach if action.is_detached else partial(self._enqueue_call, size)
            if not put(call):
                self._answer_refused(request, 429, _TOO_MANY)
        else:
            self._member.send_frame(self._member.session.answer(request).frame)
            if self._member.session.greeted:
                self._member.send_reports()
        if request.action == "hello":
            self._awaits_answers = request.arguments.get("answers") is True
        if is_first or request.action == "hello":
            self._greet(request.arguments.get("since"))

    def _enqueue_call(self, size: int, call: Start) -> bool:
        return self.calls.enqueue(CALL, call, size)

    def _greet(self, since: Any) -> None:
        """Send a client that now accepts text frames the ones that it has missed."""
        self.heard.remember_numbers(since)
        self.send_now(frame("runtime_state", self.runtime))
        self._replay_events()

    def _replay_events(self) -> None:
        """Send the stored events that the client has not had."""
        self.is_greeted = True
        self._cancel_greeting()
        self.calls.enqueue(EVENT, self.heard.replay_all)

    def _cancel_greeting(self) -> None:
        if self._greeting is not None:
            self._greeting.cancel()

    # Calls.

    async def _call(self, action: Action, request: Request) -> None:
        name, request_id = request.action, request.request_id
        self._unanswered.add(request_id)
        error = await error_of(self._run(action, request))
        if error is not None:
            failure = await error_of(self.consumer.handle_exception(error, name, request_id))
            if failure is not None:
                text = "Action %r failed."
                logger.error(text, name, exc_info=failure, extra=self.log_context)
                self._answer_refused(request, 500, "Internal error.")
        self._unanswered.discard(request_id)

    async def _run(self, action: Action, request: Request) -> None:
        name, request_id = request.action, request.request_id
        context = {"action": name, "request_id": request_id}
        arguments = action.bind(request.arguments, context)
        checked = {key: arguments[key] for key in arguments if key not in context}
        await self.consumer.check_permissions(name, **checked, request_id=request_id)
        result = await action.run(self.consumer, arguments)
        answer = action.answer(result) or (_NOTHING if self._awaits_answers else None)
        if answer and request_id in self._unanswered:
            data, status = answer
            await self.consumer.reply(name, data=data, status=status, request_id=request_id)

    def _answer_refused(self, request: Request, status: int, reason: str) -> None:
        self.send_now(
            frame(request.action, request_id=request.request_id, errors=[reason], status=status)
        )

    def detach(self, work: Any) -> None:
        """Run a coroutine beside the calls; it ends with the connection.

        Raises:
            CallError: 429, too many run already.
        """
        if not self.calls.detach(partial(self._guard_detached, work)):
            work.close()
            raise CallError(429, _TOO_MANY)

    async def _guard_detached(self, work: Any) -> None:
        if error := await error_of(work):
            logger.error("Detached method failed.", exc_info=error, extra=self.log_context)

    # Sending.

    def set_runtime_var(self, name: str, value: Any) -> None:
        """Set a variable of ``RuntimeState``, and send it to the client if it has changed."""
        value = check_variable(type(self.consumer), name, value)
        if name not in self.runtime or self.runtime[name] != value:
            self.runtime[name] = value
            self.send_now(frame("runtime_state", {name: value}))

    def mark_answered(self, request_id: object) -> None:
        """Record that a call has been answered, so that its result is not sent as well."""
        if isinstance(request_id, str | float | int | None):
            self._unanswered.discard(request_id)

    def send_now(self, text: str) -> None:
        """Send a text frame at once; a client that does not read is disconnected."""
        if self.accepts_text or not self.has_document:
            self._send_frame(text)

    async def send_text(self, text: str) -> None:
        """Send a text frame when the client has read the earlier ones."""
        await self.ready()
        self._send_frame(text)

    def _send_frame(self, text: str) -> None:
        if self._member is None:
            self._early.append(text)
        else:
            self._member.send_frame(text)

    async def ready(self) -> None:
        """Wait until the client has read the frames before."""
        if self._member is not None:
            await self._member.ready()


def connection_of(consumer: Any) -> LiveConnection:
    """Return the connection that a live consumer serves.

    Raises:
        RuntimeError: it serves none.
    """
    found = serving_connection(consumer)
    assert isinstance(found, LiveConnection)
    return found


def _has_layer_group(name: str) -> bool:
    return group_name(name) == name
