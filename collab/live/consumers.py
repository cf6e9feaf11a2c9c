"""The consumer of live channels: actions, events and runtime state, with a document or without."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, ClassVar, cast

from channels.db import database_sync_to_async

from collab.access import Access
from collab.conf import get_settings
from collab.consumers import group_name
from collab.engine.hub.admission import current_limits
from collab.engine.hub.current import current_hub
from collab.exceptions import ProtocolViolation, TryAgainLater
from collab.live.actions.actions import Action, actions_of
from collab.live.actions.call_queue import CALL, EVENT, CallQueue, Start, error_of
from collab.live.actions.runtime_state import check_variable
from collab.live.events import groups
from collab.live.events.encoding import as_json, frame
from collab.live.events.events import (
    EVERYBODY,
    NOTIFICATION,
    SYSTEM,
    handlers_of,
    kept_events,
    user_group,
)
from collab.live.events.groups import INTERNAL, Event, check_name
from collab.live.state.state_consumer import StateConsumer
from collab.protocol.effects import Reply
from collab.protocol.session import Request

from .errors import CallError, answer_of
from .permissions import permission_of

__all__ = ["LiveConsumer"]

logger = logging.getLogger("collab.live")

#: A client may say of so many groups what it has had.
_MOST_SINCE = 1_000
#: Largest number that the database has.
_MOST_NUMBER = 2**63 - 1
_TOLD_AS = {NOTIFICATION: "notification", SYSTEM: "system"}

_TOO_MANY = "You have too many calls under way; wait for their answers."


class LiveConsumer(StateConsumer):
    """A consumer whose clients call its actions and are told events, in JSON.

    With a document (the URL has a ``room``, or ``make_room_name`` is overridden) both are on the
    same connection. Actions and handlers of events of one connection run one after the other,
    in a task of their own: however long they take, the document goes on.
    """

    #: Who may connect and call actions; an action may have others.
    permission_classes: ClassVar[Sequence[Any]] = ()

    #: The client understands text frames: it has sent one, or there is no document.
    _accepts_text = False
    #: The client was let in.
    _is_connected = False

    # To be overridden.

    async def authorize(self) -> Access:
        """Return what the user may do in the document: everything if he may connect."""
        for permission in self._permissions(self.permission_classes):
            if not await permission.can_connect(self.scope, self, None):
                return Access.NONE
        return Access.WRITE if self.state is None else await self.get_state_access()

    @classmethod
    def is_open_to_everybody(cls) -> bool:
        """Tell whether the project has not said who may connect; a system check warns of that."""
        own = cls.authorize is LiveConsumer.authorize and cls.connect is LiveConsumer.connect
        return own and not cls.permission_classes and cls.state is None

    async def on_connected(self) -> None:
        """Called once the client is connected; join groups and set runtime variables here."""

    async def on_disconnected(self) -> None:
        """Called when the connection has ended."""

    async def on_user_changed(self) -> None:
        """Called when the connection is somebody else's: he has logged in or out."""

    async def get_permissions(self, action: str, **kwargs: Any) -> Sequence[Any]:
        """Return the permissions that a call of an action needs."""
        found = actions_of(type(self)).get(action)
        classes = (found and found.permission_classes) or self.permission_classes
        return self._permissions(classes)

    async def check_permissions(self, action: str, **kwargs: Any) -> None:
        """Raise ``CallError`` (403) unless the action may be called with these arguments."""
        for permission in await self.get_permissions(action, **kwargs):
            if not await permission.has_permission(self.scope, self, action, **kwargs):
                raise CallError(403, "You do not have permission to do this.")

    async def handle_exception(
        self, error: Exception, action: str, request_id: str | int | None
    ) -> None:
        """Tell the caller what was wrong; of an error of the server only that there was one."""
        answer = answer_of(error)
        if answer is None:
            logger.error("The action %r has failed.", action, exc_info=error, extra=self._who)
            answer = 500, ["Internal error."]
        status, errors = answer
        await self.reply(action, errors=errors, status=status, request_id=request_id)

    # To be used.

    @property
    def user(self) -> Any:
        """The user as the project's middleware has it; ``None`` if there is none."""
        return self.scope.get("user")

    @property
    def has_document(self) -> bool:
        """There is a document beside the actions."""
        is_own = type(self).make_room_name is not StateConsumer.make_room_name
        has_room = "room" in self.scope.get("url_route", {}).get("kwargs", {})
        return is_own or has_room or self.state is not None

    @property
    def runtime_state(self) -> Mapping[str, Any]:
        """The runtime variables that are set."""
        return self._runtime

    async def set_runtime_var(self, name: str, value: Any) -> None:
        """Set a variable of ``RuntimeState`` and tell the client.

        Raises:
            LookupError: there is no such variable.
            TypeError: the value is of another type.
        """
        value = check_variable(type(self), name, value)
        if name not in self._runtime or self._runtime[name] != value:
            self._runtime[name] = value
            self._tell(frame("runtime_state", {name: value}))

    async def reply(
        self,
        action: str,
        data: Any = None,
        errors: Sequence[Any] | None = None,
        status: int = 200,
        request_id: str | int | None = None,
    ) -> None:
        """Send the client a text frame, when it has taken the earlier ones."""
        self._unanswered.discard(request_id)
        text = frame(action, data, request_id=request_id, errors=errors or (), status=status)
        await self._send_text(text)

    def reply_now(
        self, action: str, data: Any, *, status: int = 200, request_id: str | int | None = None
    ) -> None:
        """Send the client a text frame at once; one that does not read is disconnected."""
        self._unanswered.discard(request_id)
        self._tell(frame(action, data, status=status, request_id=request_id))

    async def send_json(self, content: Any, close: bool = False) -> None:
        """Send the client any JSON, when it has taken the earlier frames."""
        await self._send_text(as_json(content))
        if close:
            await self.close()

    async def add_group(self, name: str) -> None:
        """Hear what is published to a group; and to the channel layer's group of that name.

        The client is told the events that are kept for those who join later.

        Raises:
            ValueError: no group can have that name; see
                :func:`collab.live.events.groups.check_name`.
        """
        if check_name(name) in self._listening:
            return
        try:
            if self._accepts_text:
                # What comes before the older events are looked up waits for them.
                self._listening[name] = deque()
            await self._join_live_group(name)
            if group_name(name) == name:
                await self._tell_layer("group_add", name)
            if self._accepts_text:
                await self._replay(name)
        except BaseException:
            # Who tries again is told the older events then.
            await self.remove_group(name)
            raise

    async def remove_group(self, name: str) -> None:
        """Hear no more of a group."""
        if name not in self._listening:
            return
        del self._listening[name]
        self._newest.pop(name, None)
        await groups.leave(name, self)
        if name in self._joined:
            await self._tell_layer("group_discard", name)
            self._joined.discard(name)

    async def _join_live_group(self, name: str) -> None:
        """Hear what is sent to a group that may be one of ours, of which nothing is kept."""
        self._listening.setdefault(name, None)
        await groups.join(name, self)

    async def _tell_layer(self, verb: str, name: str) -> None:
        """Join or leave a group of the channel layer; events of ours do not need that."""
        if self.channel_layer is None:
            return
        self._joined.add(name)
        try:
            async with asyncio.timeout(get_settings().RELAY_TIMEOUT):
                await getattr(self.channel_layer, verb)(name, self.channel_name)
        except Exception as error:
            # It is joined when access is checked next.
            self._stay_due = 0.0
            logger.warning("The channel layer fails (%s).", type(error).__name__, extra=self._who)

    def start_detached(self, work: Any) -> None:
        """Run a coroutine beside the connection's actions; it ends with the connection.

        Raises:
            CallError: 429, too many run already.
        """
        if not self._call_queue.detach(partial(self._guard_detached, work)):
            work.close()
            raise CallError(429, _TOO_MANY)

    # How it works.

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        settings = get_settings()
        self._call_queue = CallQueue(
            settings.LIVE_MAX_WAITING,
            settings.LIVE_MAX_EVENTS,
            settings.LIVE_MAX_DETACHED,
            settings.MAX_TEXT_SIZE,
        )
        self._runtime: dict[str, Any] = {}
        #: Groups that are heard; and what was told while older events are being looked up.
        self._listening: dict[str, deque[Event] | None] = {}
        #: Numbers of the newest events that were passed on, by group; and that the client had.
        self._newest: dict[str, int] = {}
        self._since: dict[str, int] = {}
        #: Groups that every connection is in, and every connection of the user.
        self._own_groups: list[str] = []
        #: Calls under way that no answer was sent to.
        self._unanswered: set[str | int | None] = set()
        await super().__call__(scope, receive, send)

    async def connect(self) -> None:
        """Let the client in, with its document if there is one."""
        if self.has_document:
            await super().connect()
        else:
            self._visit.enter(current_limits().users, self._user_id())
            await self._let_in()
        await self._join_own_groups()
        self._is_connected = True
        await self.on_connected()

    async def recheck_access(self, *, routine: bool = False) -> None:
        """Find out again who the user is and what he may do; see ``YjsConsumer``."""
        await super().recheck_access(routine=routine)
        if self._is_connected and self._own_groups[1:] != self._user_groups():
            await self._leave_own_groups()
            await self._join_own_groups()
            await self.forget_user()
            await self.on_user_changed()

    async def forget_user(self) -> None:
        """End what was begun for the former user, whatever the project overrides."""

    def _user_groups(self) -> list[str]:
        user_id = self._user_id()
        return [] if user_id is None else [user_group(user_id)]

    async def _join_own_groups(self) -> None:
        self._own_groups = [EVERYBODY, *self._user_groups()]
        for name in self._own_groups:
            await groups.join(name, self)

    async def _leave_own_groups(self) -> None:
        await self._leave_live(self._own_groups)

    async def _leave_live(self, names: Iterable[str]) -> None:
        for name in names:
            await groups.leave(name, self)

    async def _join(self) -> None:
        if self.has_document:
            await super()._join()
            return
        if self.channel_layer is not None:
            await self._stay_in_groups()
        self._hub, self._member, self._accepts_text = current_hub(), self._new_member(), True
        self._hub.enter(self._member)

    def _groups(self) -> list[str]:
        own = [name for name in self._listening if group_name(name) == name]
        if not self.has_document:
            return [*self.groups, *own]
        return [*super()._groups(), *own]

    async def _leave(self) -> None:
        if self._member is not None and self._room is None:
            self._hub.leave(self._member)
        try:
            await asyncio.gather(
                self._call_queue.end(get_settings().CLOSE_TIMEOUT), super()._leave()
            )
        finally:
            # Whatever fails, nothing is to hold the connection for ever.
            await self._leave_live([*self._own_groups, *self._listening])
        if self._is_connected:
            await self.on_disconnected()

    def _receive_bytes(self, frame: bytes) -> None:
        if self._member is not None and self._room is None:
            raise ProtocolViolation("There is no document here; send text frames.")
        super()._receive_bytes(frame)

    def _receive_text(self, frame: str) -> None:
        if self._member is not None and not self._member.is_closed:
            request = self._member.session.read_request(frame)
            if isinstance(request, Reply):
                self._member.send_frame(request.frame)
            else:
                self._take(request, len(frame))

    def _take(self, request: Request, size: int) -> None:
        assert self._member is not None
        is_first, self._accepts_text = not self._accepts_text, True
        if action := actions_of(type(self)).get(request.action):
            call = partial(self._call, action, request)
            put = self._call_queue.detach if action.is_detached else partial(self._put_call, size)
            if not put(call):
                self._tell_refused(request, 429, _TOO_MANY)
        else:
            self._member.send_frame(self._member.session.answer(request).frame)
            if self._member.session.greeted:
                self._member.send_saved()
        if is_first or request.action == "hello":
            self._greet(request.arguments.get("since"))

    def _put_call(self, size: int, call: Start) -> bool:
        return self._call_queue.enqueue(CALL, call, size)

    def _greet(self, since: Any) -> None:
        """Tell a client that can be told now what it has missed.

        Args:
            since: numbers of the newest events, by group, that it had before, if it says so.
        """
        if isinstance(since, dict):
            self._since = {
                group: number
                for group, number in islice(since.items(), _MOST_SINCE)
                if isinstance(number, int) and 0 <= number <= _MOST_NUMBER
            }
        self._tell(frame("runtime_state", self._runtime))
        self._call_queue.enqueue(EVENT, self._replay_all)

    async def _call(self, action: Action, request: Request) -> None:
        name, request_id = request.action, request.request_id
        self._unanswered.add(request_id)
        error = await error_of(self._run(action, request))
        if error is not None:
            failure = await error_of(self.handle_exception(error, name, request_id))
            if failure is not None:
                text = "The action %r has failed."
                logger.error(text, name, exc_info=failure, extra=self._who)
                self._tell_refused(request, 500, "Internal error.")
        self._unanswered.discard(request_id)

    async def _run(self, action: Action, request: Request) -> None:
        name, request_id = request.action, request.request_id
        context = {"action": name, "request_id": request_id}
        arguments = action.bind(request.arguments, context)
        checked = {key: arguments[key] for key in arguments if key not in context}
        await self.check_permissions(name, **checked, request_id=request_id)
        result = await action.run(self, arguments)
        data, status = action.answer(result)
        if result is not None or request_id in self._unanswered:
            await self.reply(name, data=data, status=status, request_id=request_id)

    async def _guard_detached(self, work: Any) -> None:
        if error := await error_of(work):
            logger.error("A detached method has failed.", exc_info=error, extra=self._who)

    def _tell_refused(self, request: Request, status: int, reason: str) -> None:
        answer = frame(
            request.action, request_id=request.request_id, errors=[reason], status=status
        )
        self._tell(answer)

    # Events.

    def receive_event(self, event: Event) -> None:
        """Take an event of a group; one without a handler goes to the client.

        Those that have numbers are passed on in their order, each once.
        """
        group, number = event.group, event.number
        if number is None or not self._accepts_text or group not in self._listening:
            self._pass_on(event)
        elif (waiting := self._listening[group]) is not None:
            # The client gets them behind the older ones.
            if len(waiting) < get_settings().LIVE_MAX_EVENTS:
                waiting.append(event)
            else:
                self._refuse_events()
        elif number == self._newest_of(group) + 1:
            self._pass_on(event)
        elif number > self._newest_of(group):
            # Some were lost on their way, or are overtaken.
            self._listening[group] = deque([event])
            self._put(partial(self._catch_up, group))

    def _newest_of(self, group: str) -> int:
        return self._newest.get(group, self._since.get(group, 0))

    def _pass_on(self, event: Event) -> None:
        handler = handlers_of(type(self)).get(event.type)
        if event.number is not None and (handler or self._accepts_text):
            self._newest[event.group] = event.number
        if handler:
            self._put(partial(self._handle, handler, event.as_dict()))
        elif told_as := _TOLD_AS.get(event.type):
            self._tell(frame(told_as, event.payload))
        elif not event.type.startswith(INTERNAL):
            self._tell(event.frame)

    def _handler_of(self, message: dict[str, Any]) -> Any:
        own = super()._handler_of(message)
        handler = handlers_of(type(self)).get(message["type"])
        return partial(self._hand_on, handler) if handler and own is None else own

    async def _hand_on(self, handler: Any, message: dict[str, Any]) -> None:
        self._put(partial(self._handle, handler, message))

    def _put(self, start: Start) -> None:
        if not self._call_queue.enqueue(EVENT, start):
            self._refuse_events()

    def _refuse_events(self) -> None:
        # Events may come until a connection that ends has left its groups.
        if self._member is not None and not self._member.is_closed:
            reason = "This connection cannot keep up with its events."
            self._member.refuse(TryAgainLater(reason, limit="LIVE_MAX_EVENTS"))

    async def _handle(self, handler: Any, event: dict[str, Any]) -> None:
        if error := await error_of(handler(self, event)):
            text = "A handler of %r has failed."
            logger.error(text, event["type"], exc_info=error, extra=self._who)

    async def _replay_all(self) -> None:
        for name in list(self._listening):
            await self._catch_up(name)

    async def _catch_up(self, group: str) -> None:
        if error := await error_of(self._replay(group)):
            # What comes from now on is told all the same.
            text = "Events that were kept cannot be told."
            logger.error(text, exc_info=error, extra=self._who)

    async def _replay(self, group: str) -> None:
        """Tell the client what is kept of a group, and then what has come meanwhile."""
        if group not in self._listening or group.startswith(INTERNAL):
            return
        waiting = self._listening[group] = self._listening[group] or deque()
        try:
            after = self._newest_of(group)
            kept = await database_sync_to_async(kept_events)(group, after)
            waiting.extendleft(reversed(kept))
            while waiting and self._listening.get(group) is waiting:
                self._pass_on_newer([waiting.popleft()])
                await self._ready()
        finally:
            if self._listening.get(group) is waiting:
                self._listening[group] = None
                self._pass_on_newer(waiting)

    def _pass_on_newer(self, events: Iterable[Event]) -> None:
        for event in events:
            if cast("int", event.number) > self._newest_of(event.group):
                self._pass_on(event)

    # Sending.

    def _tell(self, text: str) -> None:
        if self._member is not None and self._accepts_text:
            self._member.send_frame(text)

    async def _send_text(self, text: str) -> None:
        await self._ready()
        if self._member is not None:
            self._member.send_frame(text)

    async def _ready(self) -> None:
        if self._member is not None:
            await self._member.ready()

    def _permissions(self, classes: Sequence[Any]) -> list[Any]:
        return [permission_of(each) for each in classes]
