"""A project's subclass may use any attribute name but the documented ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from pycrdt import Doc, Text

from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.live import LiveConsumer, action, consumer
from collab.live.events.groups import Event, send
from collab.testing import connect
from tests.collab.test_consumers import has_text, members, serve, text_of, write
from tests.harness.communicator import Communicator
from tests.harness.waiting import until
from tests.live.talking import talking

pytestmark = pytest.mark.usefixtures("memory")

#: Private names that consumers had before they had ``_collab_connection``.
FORMER = [
    "_accepted",
    "_accepts_text",
    "_add",
    "_arguments",
    "_base_receive",
    "_call",
    "_call_queue",
    "_catch_up",
    "_cause",
    "_change",
    "_change_list",
    "_charge",
    "_clear",
    "_closed",
    "_context",
    "_deadline",
    "_declare",
    "_end_with",
    "_evicted",
    "_failure",
    "_greet",
    "_groups",
    "_guard_detached",
    "_hand_on",
    "_handle",
    "_handler_of",
    "_heard",
    "_hub",
    "_is_connected",
    "_is_direct",
    "_is_idle",
    "_is_permitted",
    "_join",
    "_join_groups",
    "_join_live_group",
    "_join_own_groups",
    "_joined",
    "_key",
    "_leave",
    "_leave_groups",
    "_leave_live",
    "_leave_own_groups",
    "_let_in",
    "_listen",
    "_listener_done",
    "_listening",
    "_loop",
    "_make_wait",
    "_member",
    "_miss_first_frame",
    "_new_member",
    "_newest",
    "_newest_of",
    "_note_access",
    "_note_frame",
    "_offers_subprotocol",
    "_open_socket",
    "_own_groups",
    "_pass_on",
    "_pass_on_newer",
    "_permissions",
    "_prepare",
    "_put",
    "_put_call",
    "_ready",
    "_receive_bytes",
    "_receive_text",
    "_refresh_user",
    "_refusal",
    "_refuse_events",
    "_remove",
    "_replay",
    "_replay_all",
    "_reset",
    "_room",
    "_run",
    "_runtime",
    "_send_text",
    "_sender",
    "_serve",
    "_since",
    "_socket",
    "_speaks",
    "_start_listener",
    "_stay_due",
    "_stay_in_groups",
    "_take",
    "_take_bytes",
    "_take_channel",
    "_take_directly",
    "_task",
    "_tell",
    "_tell_itself",
    "_tell_layer",
    "_tell_refused",
    "_throttle",
    "_turn",
    "_turns",
    "_unanswered",
    "_update_of",
    "_user_groups",
    "_user_id",
    "_using",
    "_visit",
    "_watched",
    "_who",
    "evict",
    "forget_user",
    "hear",
    "keep_up",
    "makes_plain_docs",
    "receive_event",
    "state",
]

#: The names that Channels consumers use most, those that consumers here have as values included.
USUAL = [
    "chat_room",
    "connected",
    "connection_id",
    "data",
    "game",
    "group",
    "group_id",
    "group_name",
    "id",
    "is_connected",
    "key",
    "loop",
    "message",
    "name",
    "player",
    "queue",
    "room",
    "room_group_name",
    "room_id",
    "room_name",
    "session",
    "session_key",
    "state",
    "subscriptions",
    "task",
    "tasks",
    "timer",
    "token",
    "url_route",
    "user",
    "user_id",
    "username",
    "ydoc",
]

NAMES = sorted({*FORMER, *USUAL})
#: Neither a method, nor false, nor iterable.
ODD = 7


def as_class_attributes(base: type[Any]) -> type[Any]:
    """Return a subclass that has all of the names as class attributes."""
    return type("Named", (base,), dict.fromkeys(NAMES, ODD))


def as_instance_attributes(base: type[Any]) -> type[Any]:
    """Return a subclass that sets all of the names when a client connects."""

    class Named(base):  # type: ignore[misc]
        async def connect(self) -> None:
            for name in NAMES:
                setattr(self, name, ODD)
            await super().connect()

    return Named


def as_methods(base: type[Any]) -> type[Any]:
    """Return a subclass that has all of the names as methods."""

    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("A method of the project was called.")

    return type("Named", (base,), dict.fromkeys(NAMES, fail))


KINDS = pytest.mark.parametrize(
    "named",
    [as_class_attributes, as_instance_attributes, as_methods],
    ids=lambda kind: kind.__name__,
)


class Moody(YjsConsumer):
    access_now: ClassVar[Access]

    async def authorize(self) -> Access:
        return self.access_now


@pytest.fixture(autouse=True)
def full_access() -> Iterator[None]:
    Moody.access_now = Access.WRITE
    yield


@KINDS
async def test_names_of_the_project_disturb_no_editing_and_no_storing(named: Any) -> None:
    async with members(named(Moody), 2) as (ann, bob):
        write(ann.doc, "hello")
        await bob.wait_until(lambda: has_text(bob, "hello"))
        await ann.wait_saved()
    assert text_of(await documents.aread("room")) == "hello"


@KINDS
async def test_names_of_the_project_disturb_no_recheck(named: Any) -> None:
    async with connect(serve(named(Moody)), "/ws/room", user=User(pk=1)) as ann:
        Moody.access_now = Access.READ
        await documents.arecheck_access("room")
        await ann.wait_until(lambda: ann.access == "read")
        Moody.access_now = Access.NONE
        await documents.arecheck_access("room")
        assert (await ann.wait_closed()).code == 4403


@KINDS
async def test_names_of_the_project_disturb_no_eviction(named: Any) -> None:
    communicator = Communicator(serve(named(Moody)), "ws/room")
    await communicator.connect()
    await communicator.receive_from()
    [member] = current_hub().rooms["room", True].members
    member.connection.evict()
    await communicator.wait()
    assert not current_hub().rooms["room", True].members


@KINDS
async def test_names_of_the_project_disturb_no_layer_event(named: Any) -> None:
    async with members(named(Moody), 2) as (ann, bob):
        doc: Doc[Any] = Doc({"text": Text("pushed")})
        event = {"type": "doc_update", "update": doc.get_update()}
        await get_channel_layer().group_send("room", event)
        for client in (ann, bob):
            await client.wait_until(partial(has_text, client, "pushed"))


class Desk(LiveConsumer):
    handled: ClassVar[list[Any]] = []

    @action
    async def add(self, one: int, other: int) -> int:
        return one + other

    @action
    async def set_up(self) -> None:
        await self.add_group("chart")

    @consumer("chart.cleared")
    async def on_cleared(self, event: dict[str, Any]) -> None:
        self.handled.append(event["payload"])


@KINDS
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", ["live/", "ws/room"])
async def test_names_of_the_project_disturb_no_live_channel(named: Any, url: str) -> None:
    Desk.handled.clear()
    async with talking(named(Desk), url, user=User(pk=1)) as ann:
        assert (await ann.call("add", one=1, other=2))["data"] == 3
        await ann.call("set_up")
        send(Event("chart.cleared", "chart", "1"))
        send(Event("point", "chart", "2"))
        assert (await ann.next(action="point"))["data"] == 2
        await until(lambda: Desk.handled == [1])
        [member] = _members()
        await member.connection.recheck_access()
        assert (await ann.call("add", one=1, other=2))["data"] == 3


def _members() -> list[Any]:
    rooms = current_hub().rooms.values()
    return [*current_hub().lobby, *(member for room in rooms for member in room.members)]


async def test_an_action_may_be_called_state() -> None:
    class Board(LiveConsumer):
        @action
        async def state(self) -> str:
            return "open"

        @action
        async def room(self) -> str:  # type: ignore[override]
            return "kitchen"

    async with talking(Board) as ann:
        assert (await ann.call("state"))["data"] == "open"
        assert (await ann.call("room"))["data"] == "kitchen"


# Errors.


def test_a_method_that_would_never_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Rechecked\.recheck_access would never be used"):

        class Rechecked(YjsConsumer):
            async def recheck_access(self) -> None: ...


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("authorize", "takes the place of the method authorize"),
        ("receive", "takes the place of the method receive"),
        ("connect", "takes the place of the method connect"),
        ("send", "takes the place of the method send"),
        ("access", "would never be used"),
        ("storage", "neither"),
    ],
)
def test_an_attribute_in_the_place_of_a_documented_one_is_refused(name: str, problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        type("Shadowing", (YjsConsumer,), {name: ODD})


@pytest.mark.parametrize("name", ["reply", "close", "connect", "authorize", "has_document"])
def test_an_action_cannot_have_the_name_of_a_documented_method(name: str) -> None:
    async def call(self: Any) -> None: ...

    with pytest.raises(TypeError, match=f"Shadowing.{name} cannot be an action"):
        type("Shadowing", (LiveConsumer,), {name: action(call)})


def test_a_base_class_of_the_project_may_be_overridden_as_it_likes() -> None:
    class Base(YjsConsumer):
        def title(self) -> str:
            return "title"

    class Heir(Base):
        title = "other"  # type: ignore[assignment]

    assert Heir.title == "other"


def test_access_cannot_be_assigned() -> None:
    with pytest.raises(AttributeError, match="authorize"):
        YjsConsumer().access = Access.READ


async def test_a_consumer_that_serves_no_connection_says_so() -> None:
    assert YjsConsumer().access == Access.NONE
    with pytest.raises(RuntimeError, match="serves no connection"):
        await YjsConsumer().close()
    with pytest.raises(RuntimeError, match="serves no connection"):
        await LiveConsumer().reply("action")
    with pytest.raises(RuntimeError, match="serves no connection"):
        _ = YjsConsumer().room_name


async def test_a_connection_without_a_document_has_no_name_of_one() -> None:
    class Nameless(LiveConsumer):
        @action
        async def name(self) -> str:
            with pytest.raises(RuntimeError, match="no document"):
                _ = self.room_name
            return "none"

    async with talking(Nameless) as ann:
        assert (await ann.call("name"))["data"] == "none"
