"""The users who have a document open, and what the server says of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ImproperlyConfigured
from django.urls import path
from pycrdt import Text

from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer
from collab.documents.members import PresentUser
from collab.engine.hub.current import current_hub
from collab.engine.relay import publisher
from collab.engine.relay.messages import ALL_ROOMS, order
from collab.exceptions import InvalidName
from collab.testing import CollabClient, connect
from tests.harness.waiting import until

pytestmark = [pytest.mark.usefixtures("memory"), pytest.mark.django_db(transaction=True)]


class Consumer(YjsConsumer):
    """Gives the access that a test says."""

    allowed = Access.WRITE

    async def authorize(self) -> Access:
        return type(self).allowed


class MemoryConsumer(Consumer):
    """Has its documents in memory only."""

    storage = None


class Elsewhere(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no types.
    """A layer with another process, in which a user with ``PRESENT`` has each document open."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        answer = {"kind": "found", "from": "elsewhere", "peers": [], "members": [PRESENT]}
        await self.send(message["channel"], {**answer, "token": message["token"]})


PRESENT = {
    "user_id": "9",
    "access": int(Access.READ),
    "client_ids": [3, 2],
    "verified": json.dumps({"name": "Zoe"}),
}

application = URLRouter(
    [
        path("ws/<path:room>", Consumer.as_asgi()),
        path("memory/<path:room>", MemoryConsumer.as_asgi()),
    ]
)


@pytest.fixture
async def member() -> AsyncIterator[CollabClient]:
    async with connect(application, "/ws/room", user=User(pk=5)) as client:
        yield client


def by_user(users: list[PresentUser]) -> dict[str | None, PresentUser]:
    return {user.user_id: user for user in users}


async def still_writes(client: CollabClient) -> None:
    """Wait until the server has stored what ``client`` types now."""
    client.doc.get("text", type=Text).insert(0, "still here")
    await client.wait_saved()


# Who is there.


async def test_a_document_that_is_not_open_has_no_members() -> None:
    assert await documents.apresent("room") == []
    with pytest.raises(InvalidName):
        await documents.apresent("")


async def test_a_member_of_another_document_is_not_in_this_one(member: CollabClient) -> None:
    assert await documents.apresent("elsewhere") == []


async def test_users_of_other_processes_are_there(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.Elsewhere"}}
    monkeypatch.setattr(publisher, "_publishers", {})
    (zoe,) = await documents.apresent("room")
    assert zoe == PresentUser("9", Access.READ, (2, 3), 1, {"name": "Zoe"})


async def test_a_user_with_several_connections_is_one(member: CollabClient) -> None:
    async with (
        connect(application, "/ws/room", user=User(pk=5)) as tab,
        connect(application, "/memory/room", user=User(pk=6)),
        connect(application, "/ws/other", user=User(pk=7)),
    ):
        users = by_user(await documents.apresent("room"))
    assert users.keys() == {"5", "6"}
    assert users["5"].connections == 2
    assert users["5"].access is Access.WRITE
    assert users["5"].verified is None
    assert tab.doc.client_id != member.doc.client_id


async def test_each_anonymous_connection_counts() -> None:
    async with (
        connect(application, "/ws/room", user=AnonymousUser()),
        connect(application, "/ws/room", user=AnonymousUser()),
    ):
        users = await documents.apresent("room")
    assert [(user.user_id, user.connections) for user in users] == [(None, 1), (None, 1)]


async def test_the_clients_of_a_user_are_those_with_presence(member: CollabClient) -> None:
    member.set_presence({"name": "Ann"})
    await until(lambda: current_hub().present("room")[0]["client_ids"])
    (user,) = await documents.apresent("room")
    assert user.client_ids == (member.doc.client_id,)


async def test_synchronous_code_in_another_thread_sees_the_same(member: CollabClient) -> None:
    users = await sync_to_async(documents.present)("room")
    assert [user.user_id for user in users] == ["5"]
    # As a thread that no event loop has started.
    users = await asyncio.to_thread(documents.present, "room")
    assert [user.user_id for user in users] == ["5"]


# What the server says of them.


async def test_others_see_what_the_type_says_of_a_user_whatever_its_client_says() -> None:
    async with (
        connect(application, "/ws/recorded/files/a", user=User(pk=5, username="ann")) as ann,
        connect(application, "/ws/recorded/files/a", user=AnonymousUser()) as guest,
    ):
        ann.set_presence({"verified": {"name": "root"}, "cursor": 1})
        guest.set_presence({"verified": {"name": "root"}})
        await guest.wait_until(lambda: ann.doc.client_id in guest.presence)
        seen = guest.presence[ann.doc.client_id]
        assert seen == {"verified": {"name": "ann"}, "cursor": 1}
        await ann.wait_until(lambda: guest.doc.client_id in ann.presence)
        assert ann.presence[guest.doc.client_id] == {}
        users = by_user(await documents.apresent("recorded/files/a"))
        assert users["5"].verified == {"name": "ann"}
        assert users[None].verified is None


async def test_verified_presence_is_computed_again_with_each_check_of_access() -> None:
    user = User(pk=5, username="ann")
    async with connect(application, "/ws/recorded/files/a", user=user):
        user.username = "Ann Lee"
        await documents.arecheck_access("recorded/files/a")

        def verified() -> str:
            (member,) = current_hub().present("recorded/files/a")
            return member["verified"]

        await until(lambda: verified() == json.dumps({"name": "Ann Lee"}))


async def test_a_type_whose_presence_is_too_large_admits_no_user(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.COLLAB = {**settings.COLLAB, "MAX_PRESENCE_SIZE": 10}
    with pytest.raises(
        ValueError, match=r"presence\(\) of the type of 'recorded/files/a' returns 15"
    ):
        async with connect(application, "/ws/recorded/files/a", user=User(pk=5, username="ann")):
            pass


# Their access.


async def test_access_is_checked_again_for_one_user_or_all(
    member: CollabClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Consumer, "allowed", Access.NONE)
    await documents.arecheck_access("room", User(pk=7))
    await still_writes(member)
    await documents.arecheck_access("room")
    assert (await member.wait_closed()).code in (4401, 4403)


@pytest.mark.parametrize(
    ("other", "own"),
    [
        ({"prefix": "hall"}, {"prefix": "ro"}),
        ({"pattern": "<int:pk>"}, {"pattern": "<slug:key>"}),
        ({"pattern": "ro/<slug:key>"}, {"pattern": "ro<slug:key>"}),
    ],
)
@pytest.mark.parametrize("ordered", [False, True])
async def test_access_is_checked_again_for_all_names_that_match(
    member: CollabClient,
    monkeypatch: pytest.MonkeyPatch,
    other: dict[str, str],
    own: dict[str, str],
    ordered: bool,
) -> None:
    monkeypatch.setattr(Consumer, "allowed", Access.NONE)

    async def recheck(names: dict[str, str], user: User | None) -> None:
        if ordered:
            # As another process would order it.
            fields = {"prefix": "", "pattern": None, **names, "user": user and str(user.pk)}
            current_hub().handle_order(order(ALL_ROOMS, "recheck_matching", **fields))
        else:
            await documents.arecheck_access(**names, user=user)

    await recheck(other, None)
    await recheck(own, User(pk=7))
    await still_writes(member)
    assert member.access == "write"
    await recheck(own, User(pk=5))
    assert (await member.wait_closed()).code in (4401, 4403)


async def test_access_is_checked_again_of_a_name_or_of_names_that_match() -> None:
    for arguments in ({}, {"room_name": "room", "prefix": "ro"}):
        with pytest.raises(TypeError, match="one of room_name, prefix and pattern"):
            await documents.arecheck_access(**arguments)
    with pytest.raises(ImproperlyConfigured, match="begins with a slash"):
        await sync_to_async(documents.recheck_access)(pattern="/x")


# Messages, and the end.


async def test_a_stateless_message_reaches_members_that_understand_it() -> None:
    async with connect(application, "/ws/room") as ann, connect(application, "/ws/room") as bob:
        await documents.asend_stateless("room", "refetch the comments")
        for client in (ann, bob):
            await client.wait_until(partial(_stateless, client))
            assert _stateless(client) == ["refetch the comments"]
        sender = next(iter(current_hub().rooms["room", True].members))
        await sync_to_async(documents.send_stateless)("room", "again", exclude=sender)
        await documents.asend_stateless("room", "last")
        await ann.wait_until(lambda: _stateless(ann)[-1] == "last")
        await bob.wait_until(lambda: _stateless(bob)[-1] == "last")
        assert sorted([len(_stateless(ann)), len(_stateless(bob))]) == [2, 3]
        plain = next(iter(current_hub().rooms["room", True].members))
        plain.session.greeted = False
        plain.send_stateless("not understood")


def _stateless(client: CollabClient) -> list[Any]:
    return [frame["data"] for frame in client.messages if frame["action"] == "stateless"]


async def test_a_stateless_message_is_a_text() -> None:
    with pytest.raises(TypeError, match="is a text"):
        await documents.asend_stateless("room", 5)  # type: ignore[arg-type]


async def test_a_document_is_closed_for_one_user_or_all() -> None:
    users = [User(pk=pk, username=str(pk)) for pk in (1, 2)]
    async with connect(application, "/ws/room", user=users[0]) as ann:
        async with connect(application, "/ws/room", user=users[1]) as bob:
            await documents.aclose_members("room", "New rights.", user=users[1])
            closed = await bob.wait_closed()
            assert (closed.code, closed.reason) == (1000, "New rights.")
        await sync_to_async(documents.close_members)("room", "Lunch.")
        closed = await ann.wait_closed()
        assert (closed.code, closed.reason) == (1000, "Lunch.")


async def test_orders_of_other_processes_reach_members() -> None:
    async with connect(application, "/ws/room") as ann:
        hub = current_hub()
        hub.handle_order(order("room", "stateless", payload="from elsewhere"))
        await ann.wait_until(lambda: _stateless(ann) == ["from elsewhere"])
        hub.handle_order(order("room", "close", reason="Lunch.", user=None))
        assert (await ann.wait_closed()).reason == "Lunch."
