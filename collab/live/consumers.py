"""The consumer of live channels: actions, events and runtime state, with a document or without."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, ClassVar

from collab.access import Access
from collab.consumers import ConnectionValue, YjsConsumer
from collab.documents import policy
from collab.engine.connections.fast_path import Receive, Send
from collab.engine.serving.overrides import documented
from collab.live.actions.actions import action_of, actions_of
from collab.live.connections.live_connection import LiveConnection, connection_of
from collab.live.events.encoding import as_json, frame
from collab.live.events.groups import check_name
from collab.live.state.declared_state import state_of
from collab.live.state.state_consumer import StateConsumer, state_access

from .errors import CallError, answer_of
from .permissions import ask, permission_of

__all__ = ["LiveConsumer"]

logger = logging.getLogger("collab.live")


class LiveConsumer(StateConsumer):
    """A consumer whose clients call its actions and receive events, in JSON.

    With a document (the URL has a ``room``, or ``make_room_name`` is overridden) both are on the
    same connection. Actions and handlers of events of one connection run one after the other,
    in a task of their own: however long they take, the document goes on.
    """

    #: Permissions for connecting and calling actions; an action may have others.
    permission_classes: ClassVar[Sequence[Any]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            found = documented(cls, name) if action_of(value) else None
            if (
                found is not None
                and not isinstance(found, ConnectionValue)
                and not action_of(found)
            ):
                raise TypeError(
                    f"{cls.__qualname__}.{name} cannot be an action: consumers have a {name} of"
                    " their own. Rename it."
                )

    # To be overridden.

    async def authorize(self) -> Access:
        """Return the access to the document: all of it if the permissions allow it.

        A document with a type asks the type as well. Without permissions, a state, or a
        ``connect`` of its own, ``COLLAB["DEFAULT_ACCESS"]`` decides.
        """
        for permission in _permissions(self.permission_classes):
            if not await ask(permission.can_connect, self.scope, self, None):
                return Access.NONE
        if state_of(type(self)) is not None:
            return await state_access(self)
        if self.has_document:
            return await super().authorize()
        if self.is_open_to_everybody():
            return policy.default_access(type(self))
        return Access.WRITE

    @classmethod
    def is_open_to_everybody(cls) -> bool:
        """Return whether the project restricts connections nowhere; a system check warns."""
        own = cls.authorize is LiveConsumer.authorize and cls.connect is LiveConsumer.connect
        return own and not cls.permission_classes and state_of(cls) is None

    async def on_connected(self) -> None:
        """Called once the client is connected; join groups and set runtime variables here."""

    async def on_disconnected(self) -> None:
        """Called when the connection has ended."""

    async def on_user_changed(self) -> None:
        """Called when the user of the connection has logged in or out."""

    async def get_permissions(self, action: str, **kwargs: Any) -> Sequence[Any]:
        """Return the permissions that a call of an action needs."""
        found = actions_of(type(self)).get(action)
        classes = (found and found.permission_classes) or self.permission_classes
        return _permissions(classes)

    async def check_permissions(self, action: str, **kwargs: Any) -> None:
        """Raise ``CallError`` (403) unless the action may be called with these arguments."""
        for permission in await self.get_permissions(action, **kwargs):
            if not await ask(permission.has_permission, self.scope, self, action, **kwargs):
                raise CallError(403, "You do not have permission to perform this action.")

    async def handle_exception(
        self, error: Exception, action: str, request_id: str | float | None
    ) -> None:
        """Answer a call that has failed; the text of an error of the server is not sent."""
        answer = answer_of(error)
        if answer is None:
            text = "Action %r failed."
            logger.error(text, action, exc_info=error, extra=connection_of(self).log_context)
            answer = 500, ["Internal error."]
        status, errors = answer
        await self.reply(action, errors=errors, status=status, request_id=request_id)

    # To be used.

    @ConnectionValue
    def user(self) -> Any:
        """The user as the project's middleware has it; ``None`` if there is none."""
        return self.scope.get("user")

    @property
    def has_document(self) -> bool:
        """Whether the connection has a document beside the actions."""
        is_own = type(self).make_room_name is not StateConsumer.make_room_name
        has_room = "room" in self.scope.get("url_route", {}).get("kwargs", {})
        return is_own or has_room or state_of(type(self)) is not None

    @ConnectionValue
    def runtime_state(self) -> Mapping[str, Any]:
        """The runtime variables that are set."""
        return connection_of(self).runtime

    async def set_runtime_var(self, name: str, value: Any) -> None:
        """Set a variable of ``RuntimeState`` and send it to the client.

        Raises:
            LookupError: there is no such variable.
            TypeError: the value is of another type.
        """
        connection_of(self).set_runtime_var(name, value)

    async def reply(
        self,
        action: str,
        data: Any = None,
        errors: Sequence[Any] | None = None,
        status: int = 200,
        request_id: str | float | None = None,
    ) -> None:
        """Send the client a text frame, when it has read the earlier ones."""
        connection = connection_of(self)
        connection.mark_answered(request_id)
        text = frame(action, data, request_id=request_id, errors=errors or (), status=status)
        await connection.send_text(text)

    def reply_now(
        self, action: str, data: Any, *, status: int = 200, request_id: str | float | None = None
    ) -> None:
        """Send the client a text frame at once; one that does not read is disconnected."""
        connection = connection_of(self)
        connection.mark_answered(request_id)
        connection.send_now(frame(action, data, status=status, request_id=request_id))

    async def send_json(self, content: Any, close: bool = False) -> None:
        """Send the client any JSON, when it has read the earlier frames."""
        connection = connection_of(self)
        if isinstance(content, dict):
            connection.mark_answered(content.get("request_id"))
        await connection.send_text(as_json(content))
        if close:
            await self.close()

    async def add_group(self, name: str) -> None:
        """Listen to events of a group, and of the channel layer's group of that name.

        The client is sent the group's stored events that it has not had.

        Raises:
            ValueError: no group can have that name; see
                :func:`collab.live.events.groups.check_name`.
        """
        await connection_of(self).add_group(check_name(name))

    async def remove_group(self, name: str) -> None:
        """Listen to a group no longer."""
        await connection_of(self).remove_group(name)

    def start_detached(self, work: Any) -> None:
        """Run a coroutine beside the connection's actions; it ends with the connection.

        Raises:
            CallError: 429, too many run already.
        """
        connection_of(self).detach(work)

    # Called by Channels.

    def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection."""
        return LiveConnection(self, YjsConsumer, scope, receive, send).serve()


def _permissions(classes: Sequence[Any]) -> list[Any]:
    return [permission_of(each) for each in classes]
