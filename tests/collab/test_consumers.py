"""The consumer as Channels serves it and as projects override it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, ClassVar

import pytest
from channels.auth import AuthMiddlewareStack
from channels.exceptions import AcceptConnection, DenyConnection, InvalidChannelLayerError
from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import AsyncClient, override_settings
from django.urls import path
from pycrdt import Doc, Text, TransactionEvent, create_update_message

from collab import documents
from collab.access import GRANT_PREFIX, Access, grant
from collab.consumers import YjsConsumer, group_name
from collab.documents.registry import Registry
from collab.engine.hub.current import current_hub
from collab.engine.serving import access_check
from collab.exceptions import Forbidden, NoSuchDocument, Restarting, Unauthenticated
from collab.live import LiveConsumer
from collab.testing import CollabClient, ConnectionClosed, close_rooms, connect
from collab.wire import SUBPROTOCOL
from tests.engine.watchers import MEMORY
from tests.harness.communicator import Communicator
from tests.harness.waiting import DEADLINE, until
from tests.protocol.yjs import poison
from tests.protocol.yjs.samples import HELLO

pytestmark = pytest.mark.usefixtures("memory")


def serve(consumer: type[YjsConsumer]) -> URLRouter:
    return URLRouter([path("ws/<path:room>", consumer.as_asgi())])


def visitor(
    consumer: type[YjsConsumer], room: str = "room", subprotocols: list[str] | None = None
) -> Communicator:
    """Return a client that knows nothing of Yjs."""
    return Communicator(serve(consumer), f"ws/{room}", subprotocols=subprotocols)


@asynccontextmanager
async def members(
    consumer: type[YjsConsumer], count: int, room: str = "room", **scope: Any
) -> AsyncIterator[list[CollabClient]]:
    clients = [connect(serve(consumer), f"/ws/{room}", **scope) for _ in range(count)]
    yield [await client.__aenter__() for client in clients]
    for client in clients:
        await client.__aexit__(None, None, None)


def text_of(doc: Doc[Any]) -> str:
    return str(doc.get("text", type=Text))


def write(doc: Doc[Any], text: str) -> None:
    doc.get("text", type=Text).insert(0, text)


def has_text(client: CollabClient, text: str) -> bool:
    return text_of(client.doc) == text


def update_with(text: str) -> bytes:
    doc: Doc[Any] = Doc()
    write(doc, text)
    return doc.get_update()


# Storing.


async def test_an_update_is_stored_when_its_sender_has_left() -> None:
    communicator = visitor(YjsConsumer)
    connected, _ = await communicator.connect()
    assert connected
    assert (await communicator.receive_from())[:2] == b"\0\0"
    await communicator.send_to(bytes_data=create_update_message(update_with("hello")))
    await communicator.disconnect()
    assert text_of(await documents.aread("room")) == "hello"


# Names.


@pytest.mark.parametrize(
    "name", ["a b", "Ünïcödé 🦄", "x" * 255, "a/b/c", "trailing ", "שלום", "%2e%2e", "'\"<>"]
)
async def test_a_room_may_have_any_name(name: str) -> None:
    class Named(YjsConsumer):
        def make_room_name(self) -> str:
            return name

    async with members(Named, 2) as (ann, bob):
        write(ann.doc, "hello")
        await bob.wait_until(lambda: text_of(bob.doc) == "hello")
        await ann.wait_saved()
    assert [info.name async for info in documents.alist_documents()] == [name]


@pytest.mark.parametrize("name", ["", "x" * 256, "nul\0", "half \ud83e"])
async def test_a_name_that_no_document_can_have_is_refused(name: str) -> None:
    class Named(YjsConsumer):
        def make_room_name(self) -> str:
            return name

    assert await visitor(Named).connect() == (False, 4404)


def test_groups_have_legal_names_and_different_rooms_different_groups() -> None:
    assert group_name("plain-name_1.2") == "plain-name_1.2"
    layer = InMemoryChannelLayer()
    odd = ["a b", "a  b", "é", "x" * 100, "x" * 101]
    assert all(layer.require_valid_group_name(group_name(name)) for name in odd)
    assert len({group_name(name) for name in odd}) == len(odd)


# Refusing.


class Closed(YjsConsumer):
    """Refuses everybody, as documented for the peer."""

    code: ClassVar[int | None] = None

    async def connect(self) -> None:
        await self.close(self.code)


class Nobody(YjsConsumer):
    async def authorize(self) -> Access:
        return Access.NONE


@pytest.mark.parametrize("consumer", [Closed, Nobody])
async def test_a_stock_client_is_refused_at_the_handshake(consumer: type[YjsConsumer]) -> None:
    communicator = visitor(consumer)
    connected, _ = await communicator.connect()
    assert not connected
    await communicator.send_input({"type": "websocket.disconnect", "code": 1006})
    await communicator.wait()


@pytest.mark.parametrize("consumer", [Closed, Nobody])
async def test_a_client_that_understands_close_codes_receives_the_reason(
    consumer: type[YjsConsumer],
) -> None:
    communicator = visitor(consumer, subprotocols=["collab"])
    assert await communicator.connect() == (True, "collab")
    assert (await communicator.receive_output())["code"] == 4401
    await communicator.send_to(bytes_data=create_update_message(update_with("too late")))
    await communicator.disconnect()
    assert not await documents.aexists("room")


async def test_a_user_who_is_logged_in_is_forbidden_and_not_asked_to_log_in() -> None:
    with pytest.raises(ConnectionClosed) as closed:
        async with connect(serve(Nobody), "/ws/room", user=User(pk=1)):
            pass
    assert closed.value.code == 4403


async def test_a_project_may_refuse_with_a_code_of_its_own() -> None:
    class Gone(Closed):
        code = 4410

    communicator = visitor(Gone, subprotocols=["collab"])
    await communicator.connect()
    assert (await communicator.receive_output())["code"] == 4410
    await communicator.disconnect()


async def test_closing_twice_closes_once() -> None:
    class Twice(YjsConsumer):
        async def connect(self) -> None:
            await super().connect()
            await self.close()
            await self.close(4000)

    communicator = visitor(Twice)
    await communicator.connect()
    await communicator.receive_from()
    assert (await communicator.receive_output())["code"] == 1000
    assert await communicator.receive_nothing()
    await communicator.disconnect()


async def test_an_error_in_the_projects_code_closes_with_1011_and_surfaces() -> None:
    class Broken(YjsConsumer):
        async def authorize(self) -> Access:
            raise LookupError("mine")

    communicator = visitor(Broken, subprotocols=["collab"])
    await communicator.send_input({"type": "websocket.connect"})
    with pytest.raises(LookupError, match="mine"):
        await communicator.wait()
    sent = [communicator.output_queue.get_nowait() for _ in range(2)]
    assert [message.get("code") for message in sent] == [None, 1011]


async def test_there_is_no_room_before_the_client_is_in() -> None:
    for name in ("room", "ydoc"):
        with pytest.raises(RuntimeError, match="connect"):
            getattr(YjsConsumer(), name)


async def test_a_message_without_a_handler_surfaces() -> None:
    communicator = visitor(YjsConsumer)
    await communicator.connect()
    await communicator.send_input({"type": "websocket.unheard.of"})
    with pytest.raises(ValueError, match="No handler"):
        await communicator.wait()


async def test_a_connection_is_cancelled_like_any_other_task() -> None:
    communicator = visitor(YjsConsumer)
    await communicator.connect()
    communicator.future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await communicator.future


async def test_a_client_that_cannot_be_reached_is_disconnected_without_an_error() -> None:
    communicator = visitor(YjsConsumer)
    await communicator.connect()
    await communicator.receive_from()
    (member,) = current_hub().rooms["room", True].members
    member.connection.evict()
    await communicator.wait()


async def test_a_silent_connection_that_is_closed_is_not_closed_again(settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "FIRST_FRAME_TIMEOUT": 0.01}
    communicator = visitor(YjsConsumer)
    await communicator.connect()
    await communicator.receive_from()
    current_hub().rooms["room", True].close_members(Restarting())
    assert (await communicator.receive_output())["code"] == 1012
    assert await communicator.receive_nothing(0.05)
    await communicator.disconnect()


async def test_a_message_for_a_client_that_is_not_in_yet_is_dropped() -> None:
    await YjsConsumer().send_message({"message": b""})


# Access that changes.


class Moody(YjsConsumer):
    mood: ClassVar[Access | Exception] = Access.WRITE

    async def authorize(self) -> Access:
        if isinstance(self.mood, Exception):
            raise self.mood
        return self.mood


async def test_a_stock_client_is_asked_for_its_changes_when_it_may_write_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    communicator = visitor(Moody)
    await communicator.connect()
    assert (await communicator.receive_from())[:2] == b"\0\0"
    (member,) = current_hub().rooms["room", True].members
    for mood in (Access.READ, Access.READ, Access.WRITE):
        monkeypatch.setattr(Moody, "mood", mood)
        await member.connection.recheck_access()
        assert member.session.access == mood
    assert (await communicator.receive_from())[:2] == b"\0\0"
    assert await communicator.receive_nothing(0.01)
    await communicator.disconnect()


class Throttled(Exception):
    """Stands for REST framework's errors."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


REFUSALS = pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Access.NONE, 4403),
        (Forbidden("Not yours."), 4403),
        (Unauthenticated(), 4401),
        (NoSuchDocument(), 4404),
        (PermissionDenied(), 4403),
        (Http404(), 4404),
        (User.DoesNotExist(), 4404),
        (Throttled(403), 4403),
        (Throttled(404), 4404),
    ],
    ids=repr,
)


@REFUSALS
@pytest.mark.parametrize("routine", [True, False])
async def test_a_refusal_at_a_recheck_is_obeyed_whether_it_is_returned_or_raised(
    monkeypatch: pytest.MonkeyPatch, refusal: Access | Exception, code: int, routine: bool
) -> None:
    async with connect(serve(Moody), "/ws/room", user=User(pk=1)) as ann:
        (member,) = current_hub().rooms["room", True].members
        monkeypatch.setattr(Moody, "mood", refusal)
        await member.connection.recheck_access(routine=routine)
        closed = await ann.wait_closed()
        assert closed.code == code
        assert closed.reason != "" and "cannot be checked" not in closed.reason


async def test_access_may_be_checked_while_the_document_is_opened() -> None:
    opening, may_open = asyncio.Event(), asyncio.Event()
    consumers: list[YjsConsumer] = []

    class Slow(YjsConsumer):
        async def authorize(self) -> Access:
            return Access.READ if opening.is_set() else Access.WRITE

        async def make_ydoc(self) -> Doc[Any]:
            consumers.append(self)
            opening.set()
            await may_open.wait()
            return Doc()

    async def access() -> str | None:
        async with connect(serve(Slow), "/ws/room") as ann:
            return ann.access

    joining = asyncio.create_task(access())
    await opening.wait()
    connection = consumers[0]._collab_connection
    assert connection is not None
    await connection.recheck_access()
    may_open.set()
    assert await joining == "read"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("refusal", [Forbidden("Not you."), Unauthenticated("Log in.")], ids=repr)
async def test_a_grant_opens_a_document_that_its_type_refuses(
    monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    class Closed(documents.DocumentType):
        def authorize(self, user: Any) -> Access:
            raise refusal

    monkeypatch.setattr("collab.documents.registry._registrations", Registry())
    documents.register("room")(Closed)
    granted = (SUBPROTOCOL, GRANT_PREFIX + grant("room", Access.READ))
    async with connect(serve(YjsConsumer), "/ws/room", subprotocols=granted) as ann:
        assert ann.access == "read"
    for of_another in [(SUBPROTOCOL,), (SUBPROTOCOL, GRANT_PREFIX + grant("other", Access.READ))]:
        with pytest.raises(ConnectionClosed):
            async with connect(serve(YjsConsumer), "/ws/room", subprotocols=of_another):
                pass


@pytest.mark.parametrize(
    ("given", "code"),
    [({}, 4401), ({"DEFAULT_ACCESS": "none"}, 4401), ({"DEFAULT_ACCESS": "read"}, 0)],
)
@pytest.mark.parametrize("base", [YjsConsumer, LiveConsumer])
async def test_a_consumer_that_does_not_decide_gives_the_default_access(
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    base: type[YjsConsumer],
    given: dict[str, str],
    code: int,
) -> None:
    settings.COLLAB = {"STORAGE": MEMORY, **given}

    class Undecided(base):  # type: ignore[misc, valid-type]
        pass

    for _ in range(2):
        if code:
            assert await visitor(Undecided).connect() == (False, code)
            assert [("Undecided refuses all users" in text) for text in caplog.messages] == [True]
        else:
            async with connect(serve(Undecided), "/ws/room") as ann:
                assert ann.access == "read"


async def test_every_user_may_write_while_debugging(settings: Any) -> None:
    settings.DEBUG = True
    settings.COLLAB = {"STORAGE": MEMORY}
    async with connect(serve(YjsConsumer), "/ws/room") as ann:
        assert ann.access == "write"


@pytest.mark.parametrize("base", [YjsConsumer, LiveConsumer])
async def test_a_connect_of_the_project_decides_who_may_connect(
    settings: Any, base: type[YjsConsumer]
) -> None:
    settings.COLLAB = {"STORAGE": MEMORY}

    class Deciding(base):  # type: ignore[misc, valid-type]
        async def connect(self) -> None:
            await super().connect()

    async with connect(serve(Deciding), "/ws/room") as ann:
        assert ann.access == "write"


@pytest.mark.parametrize(
    "name", ["websocket_connect", "websocket_disconnect", "dispatch", "connect", "accept"]
)
async def test_each_method_of_a_connections_begin_and_end_may_be_overridden(
    settings: Any, name: str
) -> None:
    settings.COLLAB = {**settings.COLLAB, "DEFAULT_ACCESS": "write"}
    called = asyncio.Event()

    async def override(self: Any, *args: Any, **kwargs: Any) -> None:
        called.set()
        await getattr(super(own, self), name)(*args, **kwargs)

    own = type("Own", (YjsConsumer,), {name: override})
    async with connect(serve(own), "/ws/room") as ann:
        assert ann.access == "write"
    await called.wait()


@REFUSALS
async def test_a_refusal_is_obeyed_when_a_client_connects(
    monkeypatch: pytest.MonkeyPatch, refusal: Access | Exception, code: int
) -> None:
    monkeypatch.setattr(Moody, "mood", refusal)
    with pytest.raises(ConnectionClosed) as closed:
        async with connect(serve(Moody), "/ws/room", user=User(pk=1)):
            pass
    assert closed.value.code == code


async def test_an_error_that_is_no_refusal_surfaces_when_a_client_connects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Moody, "mood", Throttled(500))
    communicator = visitor(Moody)
    await communicator.send_input({"type": "websocket.connect"})
    with pytest.raises(Throttled):
        await communicator.wait()


async def test_a_client_whose_access_is_not_found_out_in_time_comes_back_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access_check, "ANSWER_TIMEOUT", 0.05)

    class Hanging(YjsConsumer):
        async def authorize(self) -> Access:
            if self.scope["user"].pk == 1:
                await asyncio.Future()
            return Access.WRITE

    async with connect(serve(Hanging), "/ws/room", user=User(pk=2)) as other:
        with pytest.raises(ConnectionClosed) as closed:
            async with connect(serve(Hanging), "/ws/room", user=User(pk=1)):
                pass
        assert closed.value.code == 1013
        assert other.access == "write"
    (record,) = [record for record in caplog.records if record.name == "collab.consumers"]
    assert record.getMessage().endswith(
        "Hanging.authorize() has not answered within 0.05 s; its client is asked to connect again"
        " later."
    )
    assert record.__dict__["user"] == "1"


async def test_a_timeout_of_the_projects_own_is_not_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Moody, "mood", TimeoutError("of the project's service"))
    communicator = visitor(Moody)
    await communicator.send_input({"type": "websocket.connect"})
    with pytest.raises(TimeoutError, match="of the project's service"):
        await communicator.wait()


async def test_access_that_cannot_be_checked_for_too_long_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.COLLAB = {**settings.COLLAB, "ACCESS_GRACE": 0}
    async with connect(serve(Moody), "/ws/room") as ann:
        (member,) = current_hub().rooms["room", True].members
        monkeypatch.setattr(Moody, "mood", ConnectionError("database away"))
        await member.connection.recheck_access(routine=True)
        assert (await ann.wait_closed()).code == 1013


async def test_a_later_check_is_not_overtaken_by_an_earlier_ones_answer() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    class Slow(YjsConsumer):
        answers: ClassVar = [Access.READ, Access.WRITE, Access.WRITE]

        async def authorize(self) -> Access:
            access: Access = self.answers.pop()
            if len(self.answers) == 1:
                asked.set()
                await answer.wait()
            return access

    async with connect(serve(Slow), "/ws/room") as ann:
        (member,) = current_hub().rooms["room", True].members
        earlier = asyncio.create_task(member.connection.recheck_access(routine=True))
        await asked.wait()
        later = asyncio.create_task(member.connection.recheck_access())
        await asyncio.sleep(0)
        answer.set()
        await asyncio.gather(earlier, later)
        assert member.session.access == Access.READ
        await ann.wait_until(lambda: ann.access == "read")


async def test_access_is_asked_before_connect_is_called_whatever_it_does() -> None:
    connected = []

    class Accepting(Nobody):
        async def connect(self) -> None:
            connected.append(self)
            await self.accept()

    assert await visitor(Accepting).connect() == (False, 4401)
    assert connected == []


async def test_there_is_no_room_before_the_connection_is_accepted() -> None:
    class Hasty(YjsConsumer):
        async def authorize(self) -> Access:
            with pytest.raises(RuntimeError, match="no room yet"):
                _ = self.room
            return Access.WRITE

    async with members(Hasty, 1):
        pass


async def test_a_connection_is_accepted_with_headers_of_the_project() -> None:
    class Greeting(YjsConsumer):
        async def connect(self) -> None:
            await self.accept(headers=[(b"x-greeting", b"hello")])

    communicator = visitor(Greeting)
    await communicator.send_input({"type": "websocket.connect"})
    accepted = await communicator.receive_output()
    assert accepted["headers"] == [(b"x-greeting", b"hello")]
    await communicator.disconnect()


async def test_a_consumer_that_sees_each_frame_passes_text_on() -> None:
    class Seeing(YjsConsumer):
        async def receive(
            self, text_data: str | None = None, bytes_data: bytes | None = None
        ) -> None:
            await super().receive(text_data, bytes_data)

    communicator = visitor(Seeing)
    await communicator.connect()
    await communicator.receive_from()
    await communicator.send_json_to({"action": "hello", "request_id": 1})
    assert (await communicator.receive_json_from())["action"] == "hello"
    await communicator.disconnect()


async def test_the_project_may_check_access_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Checking(Moody):
        async def check(self, event: dict[str, Any]) -> None:
            await self.recheck_access()

    async with connect(serve(Checking), "/ws/room") as ann:
        monkeypatch.setattr(Moody, "mood", Access.READ)
        await layer_send("room", type="check")
        await ann.wait_until(lambda: ann.access == "read")


@pytest.mark.parametrize("layer", ["memory", "none"])
async def test_a_connection_has_a_channel_of_its_own_where_there_is_a_layer(
    layer: str, request: pytest.FixtureRequest
) -> None:
    if layer == "none":
        request.getfixturevalue("no_layer")

    class Named(YjsConsumer):
        async def connect(self) -> None:
            await super().connect()
            await self.send_message({"message": b"\x64" + self.channel_name.encode()})

    communicator = visitor(Named)
    await communicator.connect()
    frames = [await communicator.receive_from() for _ in range(2)]
    [name] = [frame[1:] for frame in frames if frame[:1] == b"\x64"]
    assert bool(name) is (layer == "memory")
    await communicator.disconnect()


async def test_an_error_of_a_member_in_a_handler_of_an_event_ends_its_connection() -> None:
    class Refusing(YjsConsumer):
        async def refuse(self, event: dict[str, Any]) -> None:
            raise Forbidden("Not any more.")

    async with connect(serve(Refusing), "/ws/room") as ann:
        await layer_send("room", type="refuse")
        assert (await ann.wait_closed()).reason == "Not any more."


async def test_a_connect_that_only_accepts_makes_a_member() -> None:
    class Accepting(YjsConsumer):
        async def connect(self) -> None:
            await self.accept()
            await super().connect()

    async with members(Accepting, 2) as (ann, bob):
        write(ann.doc, "hello")
        await bob.wait_until(lambda: text_of(bob.doc) == "hello")


@pytest.mark.parametrize("raised", [AcceptConnection, DenyConnection])
async def test_connect_may_raise_what_channels_lets_it(raised: type[Exception]) -> None:
    class Raising(YjsConsumer):
        async def connect(self) -> None:
            raise raised

    communicator = visitor(Raising)
    connected, _ = await communicator.connect()
    assert connected is (raised is AcceptConnection)
    await communicator.send_input({"type": "websocket.disconnect", "code": 1006})
    await communicator.wait()


async def test_groups_of_a_class_need_a_channel_layer(no_layer: None) -> None:
    communicator = visitor(Listening)
    await communicator.send_input({"type": "websocket.connect"})
    with pytest.raises(InvalidChannelLayerError, match=r"Listening\.groups"):
        await communicator.wait()


async def test_access_that_cannot_be_checked_ends_the_connection_unless_it_is_routine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    communicator = visitor(Moody)
    await communicator.connect()
    await communicator.receive_from()
    (member,) = current_hub().rooms["room", True].members
    monkeypatch.setattr(Moody, "mood", ConnectionError("database away"))
    await member.connection.recheck_access(routine=True)
    assert await communicator.receive_nothing(0.01)
    await member.connection.recheck_access()
    assert (await communicator.receive_output())["code"] == 1013
    await communicator.disconnect()


async def test_access_that_changes_while_a_client_joins_is_noticed() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()
    answers = [Access.NONE, Access.WRITE]

    class Thorough(YjsConsumer):
        async def authorize(self) -> Access:
            access = answers.pop()
            asked.set()
            await answer.wait()
            return access

    communicator = visitor(Thorough)
    connecting = asyncio.create_task(communicator.connect())
    await asked.wait()
    await documents.arecheck_access("room")
    answer.set()
    assert await connecting == (True, None)
    assert (await communicator.receive_from())[:2] == b"\0\0"
    assert (await communicator.receive_output())["code"] == 4401
    await communicator.disconnect()


class ForUsers(YjsConsumer):
    async def authorize(self) -> Access:
        return Access.NONE if self.scope["user"].is_anonymous else Access.WRITE


@pytest.mark.django_db(transaction=True)
async def test_a_user_who_logs_out_is_disconnected() -> None:
    browser = AsyncClient()
    await browser.aforce_login(await User.objects.acreate(username="ann"))
    cookie = f"sessionid={browser.cookies['sessionid'].value}".encode()
    communicator = Communicator(
        AuthMiddlewareStack(serve(ForUsers)), "ws/room", headers=[(b"cookie", cookie)]
    )
    connected, _ = await communicator.connect()
    assert connected
    await communicator.receive_from()
    await documents.arecheck_access("room")
    assert await communicator.receive_nothing(0.05)
    await browser.alogout()
    await documents.arecheck_access("room")
    assert (await communicator.receive_output())["code"] == 4401
    await communicator.disconnect()


@pytest.mark.django_db(transaction=True)
async def test_a_user_that_the_session_does_not_name_stays_logged_in() -> None:
    communicator = visitor(ForUsers)
    communicator.scope.update(user=User(pk=1), session={})
    await communicator.connect()
    await communicator.receive_from()
    (member,) = current_hub().rooms["room", True].members
    await member.connection.recheck_access()
    assert not member.is_closed
    await communicator.disconnect()


# Around it.


@pytest.mark.django_db(transaction=True)
async def test_it_works_inside_the_middlewares_of_channels() -> None:
    users: list[object] = []

    class Asking(YjsConsumer):
        async def authorize(self) -> Access:
            users.append(self.scope["user"]._wrapped)
            return Access.WRITE

    application = AllowedHostsOriginValidator(AuthMiddlewareStack(serve(Asking)))
    communicator = Communicator(
        application, "ws/room", headers=[(b"origin", b"http://testserver"), (b"host", b"x")]
    )
    connected, _ = await communicator.connect()
    assert connected
    assert users == [AnonymousUser()]
    await communicator.disconnect()


# Events of the channel layer.


class Listening(YjsConsumer):
    groups: ClassVar = ["news"]

    async def news_flash(self, event: dict[str, Any]) -> None:
        await self.send_message({"message": event["frame"]})

    async def news_broken(self, event: dict[str, Any]) -> None:
        raise LookupError("mine")


async def layer_send(group: str, **event: Any) -> None:
    await get_channel_layer().group_send(group, event)


async def test_events_of_the_projects_groups_reach_its_handlers() -> None:
    communicator = visitor(Listening)
    await communicator.connect()
    await communicator.receive_from()
    await layer_send("news", type="news.flash", frame=b"\x64hello")
    assert await communicator.receive_from() == b"\x64hello"
    await communicator.disconnect()
    await layer_send("news", type="news.flash", frame=b"nobody")


async def test_an_error_in_a_handler_closes_with_1011_and_surfaces() -> None:
    communicator = visitor(Listening)
    await communicator.connect()
    await communicator.receive_from()
    await layer_send("news", type="news.broken")
    assert (await communicator.receive_output())["code"] == 1011
    with pytest.raises(LookupError, match="mine"):
        await communicator.wait()


async def test_an_update_sent_to_the_rooms_group_becomes_part_of_the_document() -> None:
    async with members(YjsConsumer, 3) as clients:
        await layer_send("room", type="doc_update", update=update_with("pushed"))
        for client in clients:
            await client.wait_until(partial(has_text, client, "pushed"))
    assert text_of(await documents.aread("room")) == "pushed"


@pytest.fixture
def no_layer(settings: Any) -> Iterator[None]:
    settings.CHANNEL_LAYERS = {}
    yield


class Shouting(YjsConsumer):
    """Sends a frame of its own to all when somebody sends text."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data:
            await self.group_send_message(text_data.encode())
        else:
            await super().receive(bytes_data=bytes_data)


@pytest.mark.parametrize("layer", ["memory", "none"])
async def test_a_frame_of_the_projects_own_reaches_all_members(
    layer: str, request: pytest.FixtureRequest
) -> None:
    if layer == "none":
        request.getfixturevalue("no_layer")
    communicators = [visitor(Shouting) for _ in range(2)]
    for communicator in communicators:
        await communicator.connect()
        await communicator.receive_from()
    for frame in ("hello", "\x00\x00\x01\x00", "\x00", "\x00\x02\x7f"):
        await communicators[0].send_to(text_data=frame)
        assert [await each.receive_from() for each in communicators] == [frame.encode()] * 2
    for communicator in communicators:
        await communicator.disconnect()


class FailingLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no types.
    """Is away as long as a test says."""

    away: ClassVar[bool] = True
    attempts = 0

    async def new_channel(self, prefix: str = "specific.") -> str:
        self._fail()
        channel: str = await super().new_channel(prefix)
        return channel

    async def group_add(self, group: str, channel: str) -> None:
        self._fail()
        await super().group_add(group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        self._fail()
        await super().group_discard(group, channel)

    def _fail(self) -> None:
        self.attempts += 1
        if type(self).away:
            raise ConnectionError("away")


async def test_people_edit_while_the_layer_is_away_and_hear_its_events_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = FailingLayer()
    channel_layers.set("default", layer)
    monkeypatch.setattr("collab.engine.relay.layer_channel.LAYER_PAUSE", 0.01)
    try:
        async with members(YjsConsumer, 2) as (ann, bob):
            write(ann.doc, "hello")
            await bob.wait_until(lambda: text_of(bob.doc) == "hello")
            await until(lambda: layer.attempts > 20)
            monkeypatch.setattr(FailingLayer, "away", False)
            await until(lambda: layer.groups.get("room"))
            await layer.group_send("room", {"type": "doc_update", "update": update_with("news ")})
            await bob.wait_until(lambda: "news" in text_of(bob.doc))
            monkeypatch.setattr(FailingLayer, "away", True)
    finally:
        channel_layers.set("default", None)
        del channel_layers.backends["default"]


async def test_members_stay_in_the_groups_of_a_layer_that_forgets_them() -> None:
    layer = InMemoryChannelLayer(group_expiry=0.2)
    channel_layers.set("default", layer)
    try:
        with override_settings(
            COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY, "ACCESS_CHECK_INTERVAL": 0.01}
        ):
            communicator = visitor(Listening)
            await communicator.connect()
            await communicator.receive_from()
            joined = {group: max(layer.groups[group].values()) for group in ("room", "news")}
            await until(
                lambda: all(
                    min(layer.groups[group].values()) > at + 0.2 for group, at in joined.items()
                )
            )
            await layer.group_send("news", {"type": "news.flash", "frame": b"\x64hello"})
            assert await communicator.receive_from() == b"\x64hello"
            await communicator.disconnect()
            await close_rooms()
    finally:
        channel_layers.set("default", None)
        del channel_layers.backends["default"]


# The consumer that projects have today.


class DocConsumer(YjsConsumer):
    """Overrides what the peer's documentation shows."""

    events: ClassVar[list[TransactionEvent]] = []

    def make_room_name(self) -> str:
        return f"project-{super().make_room_name()}"

    async def make_ydoc(self) -> Doc[Any]:
        doc: Doc[Any] = Doc()
        doc.observe(self.events.append)
        return doc

    async def connect(self) -> None:
        user = self.scope["user"]
        if user is None or user.is_anonymous:
            await self.close()
            return
        await super().connect()

    async def doc_update(self, update_wrapper: Any) -> None:
        update = update_wrapper["update"]
        self.ydoc.apply_update(update)
        await self.group_send_message(create_update_message(update))


async def test_its_override_of_connect_refuses_the_anonymous() -> None:
    with pytest.raises(ConnectionClosed):
        async with connect(serve(DocConsumer), "/ws/7", user=AnonymousUser()):
            pass


async def test_an_update_applied_to_its_doc_is_sent_once_to_each_member_and_stored() -> None:
    DocConsumer.events.clear()
    clients = [visitor(DocConsumer, "7") for _ in range(5)]
    for client in clients:
        client.scope["user"] = User(pk=1)
        await client.connect()
        await client.receive_from()
    update = update_with("from a task")
    await layer_send("project-7", type="doc_update", update=update)
    for client in clients:
        assert await client.receive_from() == create_update_message(update)
    for client in clients:
        assert await client.receive_nothing(0.05)
        await client.disconnect()
    assert len(DocConsumer.events) == 1
    assert text_of(await documents.aread("project-7")) == "from a task"


# What a client is told when something is wrong.


async def code_after(*frames: bytes, consumer: type[YjsConsumer] = YjsConsumer) -> int:
    """Return the code that a connection is closed with after these frames."""
    communicator = visitor(consumer)
    await communicator.connect()
    for frame in frames:
        await communicator.send_to(bytes_data=frame)
    messages = [await communicator.receive_output()]
    while messages[-1]["type"] != "websocket.close":
        messages.append(await communicator.receive_output())
    # What it sends after that is not looked at.
    await communicator.send_to(bytes_data=create_update_message(update_with("too late")))
    await communicator.disconnect()
    assert "too late" not in await stored_text()
    code: int = messages[-1]["code"]
    return code


async def stored_text() -> str:
    if not await documents.aexists("room"):
        return ""
    return text_of(await documents.aread("room"))


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"MAX_FRAME_SIZE": 20}, 1009),
        ({"MAX_DOCUMENT_SIZE": 20}, 1009),
        ({"MAX_UNSAVED": 0}, 1013),
        ({"MAX_ROOMS": 0}, 1013),
        ({"MAX_ROOM_MEMBERS": 0}, 1013),
        ({"FIRST_FRAME_TIMEOUT": 0}, 1008),
    ],
)
async def test_a_connection_that_exceeds_a_limit_is_closed_with_its_code(
    settings: Any, limits: dict[str, float], code: int
) -> None:
    settings.COLLAB = {**settings.COLLAB, **limits}
    frames = (
        [] if "FIRST_FRAME_TIMEOUT" in limits else [create_update_message(update_with("hello"))]
    )
    assert await code_after(*frames) == code
    assert await stored_text() == ""


@pytest.mark.parametrize(
    "frame",
    [b"\x04", b"\0\3\1\0", b"\0\2\xff", create_update_message(poison.ENDLESS)],
    ids=["unknown type", "unknown sync type", "cut off", "no update"],
)
async def test_a_frame_outside_the_protocol_closes_the_connection_with_1008(frame: bytes) -> None:
    assert await code_after(frame) == 1008


async def test_an_update_that_cannot_be_applied_is_closed_with_1008_and_harms_no_other() -> None:
    async with members(YjsConsumer, 2) as (ann, bob):
        ann.doc.apply_update(HELLO)
        await bob.wait_until(lambda: text_of(bob.doc) == "hello")
        assert await code_after(create_update_message(poison.RAISING)) == 1008
        write(bob.doc, "!")
        await ann.wait_until(lambda: "!" in text_of(ann.doc))
        await bob.wait_saved()
    assert sorted(await stored_text()) == sorted("hello!")


class Filling(YjsConsumer):
    async def make_ydoc(self) -> Doc[Any]:
        doc: Doc[Any] = Doc()
        write(doc, "filling")
        return doc


async def test_a_doc_that_is_filled_when_it_is_stored_already_is_closed_with_1011(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with members(Filling, 1) as (ann,):
        assert text_of(ann.doc) == "filling"
    assert await code_after(consumer=Filling) == 1011
    assert "seed_ydoc" in caplog.text
    assert await stored_text() == "filling"


class Seeding(YjsConsumer):
    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        write(doc, "seed")


class Unstored(Seeding):
    storage = None


@pytest.mark.parametrize("consumer", [Seeding, Unstored])
async def test_a_new_document_is_seeded_for_all_who_come(consumer: type[YjsConsumer]) -> None:
    async with members(consumer, 3) as clients:
        assert [text_of(client.doc) for client in clients] == ["seed"] * 3
    assert await stored_text() == ("seed" if consumer is Seeding else "")


# Echoes, and what is saved.


class Echoing(YjsConsumer):
    echo_updates = True


async def test_an_echo_comes_when_the_update_is_stored() -> None:
    communicator = visitor(Echoing)
    await communicator.connect()
    await communicator.receive_from()
    frame = create_update_message(update_with("hello"))
    await communicator.send_to(bytes_data=frame)
    assert await communicator.receive_from() == frame
    assert await stored_text() == "hello"
    await communicator.disconnect()


async def test_saved_counts_every_update_that_was_sent() -> None:
    communicator = visitor(YjsConsumer)
    await communicator.connect()
    await communicator.receive_from()
    await communicator.send_json_to({"action": "hello", "request_id": 7})
    assert (await communicator.receive_json_from())["request_id"] == 7
    counts = [0]
    for number in range(1, 6):
        await communicator.send_to(bytes_data=create_update_message(HELLO))
        while counts[-1] < number:
            counts.append((await communicator.receive_json_from())["data"]["count"])
            assert await stored_text() == "hello"
    assert counts == sorted(set(counts))
    await communicator.disconnect()


# Readers.


class ReadOnly(YjsConsumer):
    async def authorize(self) -> Access:
        return Access.WRITE if self.scope["user"].pk else Access.READ


async def test_a_reader_gets_everything_and_changes_nothing() -> None:
    async with members(ReadOnly, 1, user=User(pk=1)) as (ann,):
        reader = visitor(ReadOnly)
        reader.scope["user"] = AnonymousUser()
        await reader.connect()
        for word in ("one", "two"):
            await reader.send_to(bytes_data=create_update_message(update_with(word)))
        # Told once, through the auth frame.
        assert (await reader.receive_from())[:2] == b"\2\0"
        assert await reader.receive_nothing(0.01)
        ann.set_presence({"name": "Ann"})
        assert (await reader.receive_from())[:1] == b"\1"
        write(ann.doc, "hello")
        assert (await reader.receive_from())[:2] == b"\0\2"
        await ann.wait_saved()
        await reader.disconnect()
    assert await stored_text() == "hello"


# Slow readers and fast writers.


async def test_a_client_that_reads_nothing_is_disconnected_and_delays_no_other(
    settings: Any,
) -> None:
    settings.COLLAB = {**settings.COLLAB, "SEND_TIMEOUT": 0.01}
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})
    accepted = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] != "websocket.accept":
            await asyncio.Event().wait()
        accepted.set()

    scope = {"type": "websocket", "path": "/ws/room", "query_string": b"", "headers": []}
    slow = asyncio.create_task(serve(YjsConsumer)(scope, incoming.get, send))
    await accepted.wait()
    async with members(YjsConsumer, 2) as (ann, bob):
        write(ann.doc, "hello")
        await bob.wait_until(lambda: text_of(bob.doc) == "hello")
        await asyncio.wait_for(slow, DEADLINE)
        assert len(current_hub().rooms["room", True].members) == 2


async def test_a_client_that_sends_too_fast_is_read_more_slowly(settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "MESSAGE_RATE": 100, "MESSAGE_BURST": 1}
    communicator = visitor(YjsConsumer)
    await communicator.connect()
    await communicator.receive_from()
    began = asyncio.get_running_loop().time()
    for _ in range(6):
        await communicator.send_to(bytes_data=b"\3")
    for _ in range(6):
        await communicator.receive_from()
    assert asyncio.get_running_loop().time() - began > 0.035
    await communicator.disconnect()
