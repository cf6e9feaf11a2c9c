"""Watching any object, and any filtered list of objects, on one connection.

What clients watch is looked at once for all who see the same: an :class:`_Audience` is the rows
that a user may see and a filter finds, and knows which these were. When a transaction has changed
some rows, each audience concerned reads them again with one query, and from what is there now and
was there before follows what to tell: no more than what may be seen at that moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async

from collab.conf import get_settings
from collab.engine.runtime.per_loop import PerLoop
from collab.live.actions.actions import action
from collab.live.consumers import LiveConsumer
from collab.live.errors import CallError
from collab.live.events import groups
from collab.live.events.encoding import as_json, spliced_frame
from collab.live.events.groups import Event
from collab.live.watching.row_changes import Kind
from collab.live.watching.subscriptions import ModelSubscription, group_of, subscription_of

if TYPE_CHECKING:
    _Base = LiveConsumer
else:
    _Base = object

__all__ = ["SubscriptionMixin"]

logger = logging.getLogger("collab.live")

_SOMEBODY_ELSE = "You are somebody else now; subscribe again."

RequestId = str | int
Shown = Mapping[Any, Mapping[str, Any]]
#: Who watches: a connection, and how it calls that.
Subscriber = tuple["SubscriptionMixin", RequestId]


class SubscriptionMixin(_Base):
    """Lets clients of a ``LiveConsumer`` watch what is registered with ``subscribable``.

    They are told ``create``, ``update``, ``delete``, and of lists ``enter`` and ``leave``, with
    the ``request_id`` of the subscription.
    """

    @action
    async def subscribe(
        self,
        model: str,
        request_id: RequestId,
        id: str | int | None = None,
        filter: dict[str, Any] | None = None,
    ) -> None:
        """Watch a row by its ``id``, or the rows that a ``filter`` finds; return what is there.

        Args:
            model: as in ``"notes.Task"``.
            request_id: what the client is told has it, too.
            id: of the row, as the declaration encodes it.
            filter: values by the names of ``filter_fields``; empty: all rows.
        """
        subscription = subscription_of(model)
        if (id is None) == (filter is None):
            raise CallError(400, {"id": ["Give an id or a filter."]})
        if request_id in self._watched:
            raise CallError(400, {"request_id": ["There is a subscription of this id."]})
        if len(self._watched) >= get_settings().LIVE_MAX_SUBSCRIPTIONS:
            raise CallError(429, "You watch too much; unsubscribe from something first.")
        lookups = (
            subscription.lookups(filter) if filter is not None else {"pk": subscription.key(id)}
        )

        def welcome(shown: Shown) -> None:
            found = list(shown.values())
            if id is not None and not found:
                raise CallError(404, "Not found.")
            data = {"instances": found} if id is None else found[0]
            self.reply_now("subscribe", data, status=201, request_id=request_id)

        subscriber = self, request_id
        self._watched[request_id] = await _desk(subscription).let_in(subscriber, lookups, welcome)

    @action
    async def unsubscribe(self, subscription: RequestId) -> tuple[None, int]:
        """Watch something no more; ``subscription`` is the ``request_id`` that began it."""
        if subscription not in self._watched:
            raise CallError(404, "Not found.")
        await self._end(subscription)
        return None, 204

    async def forget_user(self) -> None:
        """End what the former user watched."""
        await super().forget_user()
        for request_id in list(self._watched):
            await self._end(request_id)
            status, errors = 401, [_SOMEBODY_ELSE]
            await self.reply("unsubscribe", errors=errors, status=status, request_id=request_id)

    async def _leave(self) -> None:
        try:
            await super()._leave()
        finally:
            for request_id in list(self._watched):
                await self._end(request_id)

    async def _end(self, request_id: RequestId) -> None:
        if audience := self._watched.pop(request_id, None):
            await audience.desk.let_out((self, request_id), audience)

    @property
    def _watched(self) -> dict[RequestId, _Audience]:
        watched: dict[RequestId, _Audience] = self.__dict__.setdefault("_watches", {})
        return watched

    def tell_json(self, what: str, json: str, request_id: RequestId) -> None:
        """Send the client something that is JSON already."""
        self._tell(spliced_frame(what, json, request_id=request_id))


class _Audience:
    """Those who see the same rows.

    Args:
        desk: of the model.
        user_key: primary key of the user; ``None`` for nobody, or if it does not matter.
        lookups: that find the rows.
    """

    def __init__(self, desk: _Desk, user_key: Any, lookups: Mapping[str, Any]) -> None:
        self.desk = desk
        self._user_key = user_key
        self.lookups = lookups
        self.subscribers: set[Subscriber] = set()
        #: Primary keys of the rows that were seen last.
        self.known: set[Any] = set()

    @property
    def present(self) -> list[Subscriber]:
        """Those who are still who they were when they came: somebody may have logged out."""
        key_of = self.desk.subscription.user_key
        return [each for each in self.subscribers if key_of(each[0].user) == self._user_key]

    def concerned(self, keys: Iterable[Any]) -> set[Any]:
        """Return which of these primary keys may matter."""
        if "pk" in self.lookups:
            return {key for key in keys if key == self.lookups["pk"]}
        return {*keys}

    def read(self, keys: Iterable[Any] | None = None) -> Shown:
        """Return what is seen now, of all rows or of those with these primary keys."""
        subscription = self.desk.subscription
        users = [consumer.user for consumer, _ in self.subscribers]
        present = [user for user in users if subscription.user_key(user) == self._user_key]
        if not present:
            return {}
        user = present[0] if subscription.per_user else None
        rows = subscription.rows(user, self.lookups)
        if keys is not None:
            rows = rows.filter(pk__in=keys)
        most = get_settings().LIVE_MAX_ROWS
        found = subscription.found(rows[: most + 1])
        if len(found) > most:
            reason = f"There are more than {most} rows; filter by more."
            raise CallError(400, {"filter": [reason]})
        return subscription.shown(user, found)

    def take(self, shown: Shown, kinds: Mapping[Any, str]) -> None:
        """Tell what has become of the rows of these primary keys, which now are ``shown``."""
        for key, kind in kinds.items():
            if key in shown:
                self._tell("update" if key in self.known else _entered(kind), shown[key])
                self.known.add(key)
            elif key in self.known:
                self.known.discard(key)
                gone = {"id": self.desk.subscription.encode_id(key)}
                self._tell("delete" if kind == Kind.DELETE else "leave", gone)

    def _tell(self, what: str, data: Any) -> None:
        json = as_json(data)
        for consumer, request_id in self.present:
            consumer.tell_json(what, json, request_id)


def _entered(kind: str) -> str:
    return "create" if kind == Kind.CREATE else "enter"


class _Desk:
    """What is watched of a model in an event loop."""

    def __init__(self, subscription: ModelSubscription[Any]) -> None:
        self.subscription = subscription
        self._group = group_of(subscription.model)
        self._audiences: dict[Any, _Audience] = {}
        #: What has changed and was not looked at yet: kinds by primary key.
        self._changed: dict[Any, str] = {}
        self._looking: asyncio.Task[None] | None = None
        #: Who comes in sees what is there, and is told all that changes afterwards.
        self._lock = asyncio.Lock()

    async def let_in(
        self,
        subscriber: Subscriber,
        lookups: Mapping[str, Any],
        welcome: Callable[[Shown], None],
    ) -> _Audience:
        """Let somebody watch, who is told by ``welcome`` what there is, before all changes."""
        async with self._lock:
            user_key = self.subscription.user_key(subscriber[0].user)
            key = user_key, self.subscription.text_of(lookups)
            if not self._audiences:
                await groups.join(self._group, self)
            audience = self._audiences.setdefault(key, _Audience(self, user_key, lookups))
            audience.subscribers.add(subscriber)
            try:
                shown = await database_sync_to_async(audience.read)()
                if subscriber not in audience.present:
                    raise CallError(401, _SOMEBODY_ELSE)
                welcome(shown)
            except BaseException:
                await self._let_out(subscriber, audience)
                raise
            audience.known |= shown.keys()
            return audience

    async def let_out(self, subscriber: Subscriber, audience: _Audience) -> None:
        """Let somebody watch no more."""
        async with self._lock:
            await self._let_out(subscriber, audience)

    async def _let_out(self, subscriber: Subscriber, audience: _Audience) -> None:
        audience.subscribers.discard(subscriber)
        if not audience.subscribers:
            self._audiences = {
                key: each for key, each in self._audiences.items() if each is not audience
            }
        if not self._audiences:
            await groups.leave(self._group, self)

    def receive_event(self, event: Event) -> None:
        """Take which rows a transaction has changed."""
        to_python = self.subscription.model._meta.pk.to_python
        for key, kind in event.payload:
            pk = to_python(key)
            # Who has not heard of the creation yet hears of nothing else before it.
            is_new = self._changed.get(pk) == Kind.CREATE and kind == Kind.UPDATE
            self._changed[pk] = Kind.CREATE if is_new else kind
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        try:
            while self._changed:
                async with self._lock:
                    await self._look_once()
        finally:
            self._looking = None

    async def _look_once(self) -> None:
        changed, self._changed = self._changed, {}
        concerned = [
            (audience, kinds)
            for audience in self._audiences.values()
            if (kinds := {key: changed[key] for key in audience.concerned(changed)})
        ]
        found = await database_sync_to_async(_read_all)(concerned)
        for (audience, kinds), shown in zip(concerned, found, strict=True):
            if shown is not None:
                audience.take(shown, kinds)


def _read_all(concerned: list[tuple[_Audience, dict[Any, str]]]) -> list[Shown | None]:
    return [_read(audience, kinds) for audience, kinds in concerned]


def _read(audience: _Audience, kinds: Mapping[Any, str]) -> Shown | None:
    try:
        return audience.read(kinds)
    except Exception:
        # It is the project's code. The others are to be told all the same.
        label = audience.desk.subscription.model._meta.label
        logger.exception("Rows of %s could not be read for those who watch them.", label)
        return None


#: By the label of the model.
_desks = PerLoop(dict[str, _Desk])


def _desk(subscription: ModelSubscription[Any]) -> _Desk:
    label = subscription.model._meta.label_lower
    return _desks.current().setdefault(label, _Desk(subscription))
