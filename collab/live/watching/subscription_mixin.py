"""Subscriptions to rows and filtered lists of rows on one connection.

Subscribers with equal views share a :class:`SharedQuery`: the rows that a user may see and that a
filter finds. It remembers the keys of the rows it last sent. After a transaction each query
concerned reads the changed rows once; the difference between the rows before and now decides what
to send, never more than the user may see at that moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async

from collab.conf import get_settings
from collab.engine.runtime.per_loop import PerLoop
from collab.live.actions.actions import action
from collab.live.connections.live_connection import ConnectionPart, connection_of
from collab.live.consumers import LiveConsumer
from collab.live.errors import CallError
from collab.live.events import groups
from collab.live.events.encoding import as_json, frame, spliced_frame
from collab.live.events.groups import Event
from collab.live.watching.row_changes import Kind
from collab.live.watching.subscriptions import ModelSubscription, group_of, subscription_of

if TYPE_CHECKING:
    _Base = LiveConsumer
else:
    _Base = object

__all__ = ["SubscriptionMixin"]

logger = logging.getLogger("collab.live")

_USER_CHANGED = "You are logged in as a different user; subscribe again."

RequestId = str | float
Shown = Mapping[Any, Mapping[str, Any]]
#: A connection's subscriber and the id of its subscription.
Subscription = tuple["Subscriber", RequestId]


class SubscriptionMixin(_Base):
    """Adds subscriptions to models registered with ``subscribable`` to a ``LiveConsumer``.

    Clients receive ``create``, ``update`` and ``delete``, and for lists ``enter`` and ``leave``,
    with the ``request_id`` of the subscription.
    """

    @action
    async def subscribe(
        self,
        model: str,
        request_id: RequestId,
        id: str | int | None = None,
        filter: dict[str, Any] | None = None,
    ) -> None:
        """Subscribe to a row by its ``id``, or to a filtered list; answers with the current rows.

        Args:
            model: as in ``"notes.Task"``.
            request_id: the id of the subscription; each message has it.
            id: of the row, as the declaration encodes it.
            filter: values by the names of ``filter_fields``; empty for all rows.
        """
        subscription = subscription_of(model)
        if (id is None) == (filter is None):
            raise CallError(400, {"id": ["Give an id or a filter."]})
        subscriber = connection_of(self).part(Subscriber)
        subscriber.check_free(request_id)
        lookups = (
            subscription.lookups(filter) if filter is not None else {"pk": subscription.key(id)}
        )

        def answer(shown: Shown) -> None:
            found = list(shown.values())
            if id is not None and not found:
                raise CallError(404, "Not found")
            data = {"instances": found} if id is None else found[0]
            self.reply_now("subscribe", data, status=201, request_id=request_id)

        query = await _registry(subscription).add((subscriber, request_id), lookups, answer)
        subscriber.queries[request_id] = query

    @action
    async def unsubscribe(self, subscription: RequestId) -> tuple[None, int]:
        """End a subscription; ``subscription`` is the ``request_id`` that began it."""
        await connection_of(self).part(Subscriber).unsubscribe(subscription)
        return None, 204


@dataclass(eq=False)
class Subscriber(ConnectionPart):
    """The subscriptions of one connection, by the ids of the requests that began them."""

    queries: dict[RequestId, SharedQuery] = field(default_factory=dict)

    def check_free(self, request_id: RequestId) -> None:
        """Check that a subscription can have this id.

        Raises:
            CallError: 400, another has it; or 429, there are too many.
        """
        if request_id in self.queries:
            raise CallError(400, {"request_id": ["A subscription has this id already."]})
        if len(self.queries) >= get_settings().LIVE_MAX_SUBSCRIPTIONS:
            raise CallError(429, "Too many subscriptions; unsubscribe from one first.")

    async def unsubscribe(self, request_id: RequestId) -> None:
        """End a subscription.

        Raises:
            CallError: 404, none has this id.
        """
        if request_id not in self.queries:
            raise CallError(404, "Not found")
        await self._end(request_id)

    async def forget_user(self) -> None:
        """End the subscriptions of the former user, and send the client the reason."""
        for request_id in list(self.queries):
            await self._end(request_id)
            status, errors = 401, [_USER_CHANGED]
            text = frame("unsubscribe", errors=errors, status=status, request_id=request_id)
            await self.connection.send_text(text)

    async def end(self) -> None:
        """End all subscriptions."""
        for request_id in list(self.queries):
            await self._end(request_id)

    async def _end(self, request_id: RequestId) -> None:
        if query := self.queries.pop(request_id, None):
            await query.registry.remove((self, request_id), query)


class SharedQuery:
    """A query that subscribers with equal views share.

    Args:
        registry: of the model.
        user_key: primary key of the user; ``None`` for anonymous users, and if all see the same.
        lookups: that find the rows.
    """

    def __init__(self, registry: QueryRegistry, user_key: Any, lookups: Mapping[str, Any]) -> None:
        self.registry = registry
        self._user_key = user_key
        self.lookups = lookups
        self.subscribers: set[Subscription] = set()
        #: Primary keys of the rows that subscribers see.
        self.known: set[Any] = set()

    @property
    def present(self) -> list[Subscription]:
        """The subscribers still logged in as the user they subscribed as."""
        key_of = self.registry.subscription.user_key
        return [
            each for each in self.subscribers if key_of(each[0].connection.user) == self._user_key
        ]

    def concerned(self, keys: Iterable[Any]) -> set[Any]:
        """Return the primary keys among these whose rows the query may find."""
        if "pk" in self.lookups:
            return {key for key in keys if key == self.lookups["pk"]}
        return {*keys}

    def read(self, keys: Iterable[Any] | None = None) -> Shown:
        """Return the visible rows: all, or those with these primary keys."""
        subscription = self.registry.subscription
        users = [subscriber.connection.user for subscriber, _ in self.subscribers]
        present = [user for user in users if subscription.user_key(user) == self._user_key]
        if not present:
            return {}
        user = present[0] if subscription.per_user else None
        rows = subscription.rows(user, self.lookups)
        if keys is not None:
            rows = rows.filter(pk__in=keys)
        most = subscription.max_rows
        found = subscription.found(rows[: most + 1])
        if len(found) > most:
            reason = f"More than {most} rows; use a narrower filter."
            raise CallError(400, {"filter": [reason]})
        return subscription.shown(user, found)

    def apply(self, shown: Shown, kinds: Mapping[Any, str]) -> None:
        """Send the changes of rows, by primary key, of which ``shown`` are visible now."""
        for key, kind in kinds.items():
            if key in shown:
                self._send("update" if key in self.known else _entered(kind), shown[key])
                self.known.add(key)
            elif key in self.known:
                self.known.discard(key)
                gone = {"id": self.registry.subscription.encode_id(key)}
                self._send("delete" if kind == Kind.DELETE else "leave", gone)

    def _send(self, kind: str, data: Any) -> None:
        json = as_json(data)
        for subscriber, request_id in self.present:
            subscriber.connection.send_now(spliced_frame(kind, json, request_id=request_id))


def _entered(kind: str) -> str:
    return "create" if kind == Kind.CREATE else "enter"


class QueryRegistry:
    """The shared queries of a model in one event loop."""

    def __init__(self, subscription: ModelSubscription[Any]) -> None:
        self.subscription = subscription
        self._group = group_of(subscription.model)
        self._queries: dict[Any, SharedQuery] = {}
        #: Changes that were not read yet: kinds by primary key.
        self._changed: dict[Any, str] = {}
        self._refreshing: asyncio.Task[None] | None = None
        #: A new subscriber gets the current rows, and then each later change.
        self._lock = asyncio.Lock()

    async def add(
        self,
        subscriber: Subscription,
        lookups: Mapping[str, Any],
        answer: Callable[[Shown], None],
    ) -> SharedQuery:
        """Add a subscriber; ``answer`` gets the current rows before any change is sent."""
        async with self._lock:
            user_key = self.subscription.user_key(subscriber[0].connection.user)
            key = user_key, self.subscription.text_of(lookups)
            if not self._queries:
                await groups.join(self._group, self)
            query = self._queries.setdefault(key, SharedQuery(self, user_key, lookups))
            query.subscribers.add(subscriber)
            try:
                shown = await database_sync_to_async(query.read)()
                if subscriber not in query.present:
                    raise CallError(401, _USER_CHANGED)
                answer(shown)
            except BaseException:
                await self._remove(subscriber, query)
                raise
            query.known |= shown.keys()
            return query

    async def remove(self, subscriber: Subscription, query: SharedQuery) -> None:
        """Remove a subscriber."""
        async with self._lock:
            await self._remove(subscriber, query)

    async def _remove(self, subscriber: Subscription, query: SharedQuery) -> None:
        query.subscribers.discard(subscriber)
        if not query.subscribers:
            self._queries = {key: each for key, each in self._queries.items() if each is not query}
        if not self._queries:
            await groups.leave(self._group, self)

    def receive_event(self, event: Event) -> None:
        """Record the rows that a transaction changed, and refresh the queries."""
        to_python = self.subscription.model._meta.pk.to_python
        for key, kind in event.payload:
            pk = to_python(key)
            # A row that is created and updated before it is sent is a created one.
            is_new = self._changed.get(pk) == Kind.CREATE and kind == Kind.UPDATE
            self._changed[pk] = Kind.CREATE if is_new else kind
        if self._refreshing is None:
            name = f"collab.refresh:{self.subscription.model._meta.label_lower}"
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh(), name=name)

    async def _refresh(self) -> None:
        try:
            while self._changed:
                async with self._lock:
                    await self._refresh_once()
        finally:
            self._refreshing = None

    async def _refresh_once(self) -> None:
        changed, self._changed = self._changed, {}
        concerned = [
            (query, kinds)
            for query in self._queries.values()
            if (kinds := {key: changed[key] for key in query.concerned(changed)})
        ]
        found = await database_sync_to_async(_read_all)(concerned)
        for (query, kinds), shown in zip(concerned, found, strict=True):
            if shown is not None:
                query.apply(shown, kinds)


def _read_all(concerned: list[tuple[SharedQuery, dict[Any, str]]]) -> list[Shown | None]:
    return [_read(query, kinds) for query, kinds in concerned]


def _read(query: SharedQuery, kinds: Mapping[Any, str]) -> Shown | None:
    try:
        return query.read(kinds)
    except Exception:
        # Code of the project failed; other queries are not affected.
        label = query.registry.subscription.model._meta.label
        logger.exception("Query of %s failed; its subscribers miss a change.", label)
        return None


#: By the label of the model.
_registries = PerLoop(dict[str, QueryRegistry])


def _registry(subscription: ModelSubscription[Any]) -> QueryRegistry:
    label = subscription.model._meta.label_lower
    return _registries.current().setdefault(label, QueryRegistry(subscription))
