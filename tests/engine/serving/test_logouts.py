"""Users who log out, are deactivated or lose their session are acted on at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.test import AsyncClient
from django.urls import path
from pycrdt import Doc, Text, create_update_message

from collab import documents
from collab.access import Access
from collab.conf import get_storage
from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.engine.hub.identity import current_logouts, session_digest
from collab.engine.relay.messages import ALL_ROOMS, order
from collab.engine.serving.logouts import connect_signals
from collab.live import LiveConsumer
from tests.collab.test_consumers import serve
from tests.harness.communicator import Communicator
from tests.harness.waiting import until
from tests.live.talking import Talker

pytestmark = [pytest.mark.usefixtures("memory"), pytest.mark.django_db(transaction=True)]


class ForUsers(YjsConsumer):
    async def authorize(self) -> Access:
        return Access.NONE if self.scope["user"].is_anonymous else Access.WRITE


@pytest.fixture
async def ann() -> User:
    return await User.objects.acreate(username="ann")


async def logged_in(user: User) -> str:
    """Return the key of a new session of a user."""
    browser = AsyncClient()
    await browser.aforce_login(user)
    return str(browser.cookies["sessionid"].value)


def update(text: str) -> bytes:
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, text)
    return doc.get_update()


async def in_the_lobby(session: str, consumer: type[LiveConsumer]) -> Communicator:
    """Return a connection that opens no document."""
    router = AuthMiddlewareStack(URLRouter([path("live/", consumer.as_asgi())]))
    cookie = (b"cookie", f"sessionid={session}".encode())
    communicator = Communicator(router, "live/", headers=[cookie])
    await communicator.connect()
    await until(lambda: current_hub().lobby)
    return communicator


@asynccontextmanager
async def connected(
    session: str, consumer: type[YjsConsumer] = ForUsers
) -> AsyncIterator[Communicator]:
    communicator = Communicator(
        AuthMiddlewareStack(serve(consumer)),
        "ws/room",
        headers=[(b"cookie", f"sessionid={session}".encode())],
    )
    assert (await communicator.connect())[0]
    await communicator.receive_from()
    yield communicator
    await communicator.disconnect()


async def closed(communicator: Communicator) -> int:
    code: int = (await communicator.receive_output(10))["code"]
    return code


def log_out(session: str) -> None:
    from importlib import import_module

    from django.conf import settings

    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session)
    logout(request)


def delete_session(session: str) -> None:
    Session.objects.filter(session_key=session).delete()


@pytest.mark.parametrize("act", [log_out, delete_session])
async def test_connections_of_a_session_that_ends_are_closed_and_no_others(
    ann: User, act: Callable[[str], None]
) -> None:
    sessions = [await logged_in(ann) for _ in range(2)]
    async with connected(sessions[0]) as ending, connected(sessions[1]) as other:
        await sync_to_async(act)(sessions[0])
        assert await closed(ending) == 4401
        assert await other.receive_nothing(0.05)


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


@pytest.mark.parametrize("act", [deactivate, User.delete])
async def test_all_connections_of_a_user_who_is_no_more_are_closed(
    ann: User, act: Callable[[User], Any]
) -> None:
    bob = await User.objects.acreate(username="bob")
    sessions = [await logged_in(user) for user in (ann, ann, bob)]
    async with (
        connected(sessions[0]) as one,
        connected(sessions[1]) as two,
        connected(sessions[2]) as other,
    ):
        await sync_to_async(act)(ann)
        assert [await closed(each) for each in (one, two)] == [4401, 4401]
        assert await other.receive_nothing(0.05)


async def test_a_user_who_is_saved_and_stays_active_goes_on(ann: User) -> None:
    async with connected(await logged_in(ann)) as communicator:
        await ann.asave()
        assert await communicator.receive_nothing(0.05)


def deactivate_in_vain(user: User) -> None:
    with transaction.atomic():
        deactivate(user)
        transaction.set_rollback(True)


async def test_a_transaction_that_is_rolled_back_closes_nothing(ann: User) -> None:
    async with connected(await logged_in(ann)) as communicator:
        await sync_to_async(deactivate_in_vain)(ann)
        assert await communicator.receive_nothing(0.05)


async def test_another_process_orders_it_for_connections_without_a_document_too(
    ann: User,
) -> None:
    class Live(LiveConsumer):
        async def authorize(self) -> Access:
            return Access.NONE if self.scope["user"].is_anonymous else Access.WRITE

    session = await logged_in(ann)
    communicator = await in_the_lobby(session, Live)
    digest = session_digest(session)
    current_hub().handle_order(order(ALL_ROOMS, "forget", user=None, session=digest))
    assert await Talker(communicator).closed() == 4401
    await communicator.disconnect()


@pytest.mark.parametrize("act", [log_out, delete_session])
async def test_a_session_that_ends_once_it_was_read_keeps_no_connection(
    ann: User, act: Callable[[str], None]
) -> None:
    session = await logged_in(ann)
    current_hub()

    async def ending(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await sync_to_async(act)(session)
        await until(lambda: current_logouts().concern(scope))
        await serve(ForUsers)(scope, receive, send)

    cookie = (b"cookie", f"sessionid={session}".encode())
    communicator = Communicator(AuthMiddlewareStack(ending), "ws/room", headers=[cookie])
    await communicator.connect()
    while "code" not in (message := await communicator.receive_output(10)):
        pass
    assert message["code"] == 4401
    await communicator.disconnect()


async def test_a_user_who_is_deactivated_while_connecting_is_closed(ann: User) -> None:
    class Deactivating(ForUsers):
        async def connect(self) -> None:
            await sync_to_async(deactivate)(ann)
            await super().connect()

    communicator = Communicator(
        AuthMiddlewareStack(serve(Deactivating)),
        "ws/room",
        headers=[(b"cookie", f"sessionid={await logged_in(ann)}".encode())],
    )
    await communicator.connect()
    await communicator.receive_from()
    assert await closed(communicator) == 4401
    await communicator.disconnect()


class ForAll(YjsConsumer):
    async def authorize(self) -> Access:
        return Access.WRITE


async def authors() -> list[str | None]:
    """Return the keys of the users of the stored updates."""
    stored = await get_storage().load("room")
    return [] if stored is None else [row.user_id for row in stored.log]


@pytest.mark.parametrize("act", [log_out, delete_session])
async def test_updates_after_a_logout_are_not_those_of_the_former_user(
    ann: User, act: Callable[[str], None]
) -> None:
    async def has_stored(count: int) -> bool:
        return len(await authors()) == count

    session = await logged_in(ann)
    async with connected(session, ForAll) as communicator:
        (member,) = current_hub().rooms["room", True].members
        await communicator.send_to(bytes_data=create_update_message(update("one")))
        await until(lambda: has_stored(1))
        await sync_to_async(act)(session)
        await until(lambda: member.user_id is None)
        assert [user.user_id for user in await documents.apresent("room")] == [None]
        await communicator.send_to(bytes_data=create_update_message(update("two")))
        await until(lambda: has_stored(2))
    assert await authors() == [str(ann.pk), None]


async def test_a_connection_without_a_document_follows_its_user_too(ann: User) -> None:
    class Live(LiveConsumer):
        async def authorize(self) -> Access:
            return Access.WRITE

    session = await logged_in(ann)
    communicator = await in_the_lobby(session, Live)
    (member,) = current_hub().lobby
    assert member.user_id == str(ann.pk)
    await sync_to_async(log_out)(session)
    await until(lambda: member.user_id is None)
    await communicator.disconnect()


def test_a_logout_without_a_session_concerns_no_connection() -> None:
    from django.contrib.auth.signals import user_logged_out

    user_logged_out.send(User, request=None, user=None)
    assert AnonymousUser().pk is None


def test_sessions_that_are_in_no_database_are_not_followed(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    connect_signals()
