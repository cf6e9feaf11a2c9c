"""Tokens in a header, in a subprotocol and in the first frame."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db import DataError
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed

from collab.access import Access
from collab.engine.hub.current import current_hub
from collab.live import LiveConsumer, action
from collab.live.tokens import TokenAuthMiddleware
from collab.wire import CloseCode
from tests.harness.waiting import DEADLINE

# Functions that are not async run in a thread that may have a connection to the database.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("memory")]

ANN = User(pk=1, username="ann")


class Who(LiveConsumer):
    """Lets those with a user in, and tells them who that is."""

    async def authorize(self) -> Access:
        return Access.WRITE if self.scope["user"].is_authenticated else Access.NONE

    @action
    async def me(self) -> str:
        return str(self.scope["user"].username)


class Open(Who):
    async def authorize(self) -> Access:
        return Access.WRITE


valid: set[str] = set()


@pytest.fixture(autouse=True)
def tokens() -> Iterator[None]:
    valid.clear()
    valid.add("secret")
    yield


def user_of(token: str) -> User | None:
    return ANN if token in valid else None


async def async_user_of(token: str) -> User | None:
    return user_of(token)


def refusing(error: Exception) -> Any:
    def authenticate(token: str) -> None:
        raise error

    return authenticate


def communicator(
    *,
    consumer: Any = Who,
    authenticate: Any = user_of,
    headers: Any = (),
    protocols: Any = (),
    user: Any = None,
    **options: Any,
) -> WebsocketCommunicator:
    app = TokenAuthMiddleware(consumer.as_asgi(), authenticate, **options)
    made = WebsocketCommunicator(app, "/live/", headers=list(headers), subprotocols=list(protocols))
    made.scope.update(user=user or AnonymousUser(), client=("192.0.2.1", 4711))
    return made


@asynccontextmanager
async def connected(**options: Any) -> AsyncIterator[WebsocketCommunicator]:
    made = communicator(**options)
    assert (await made.connect(DEADLINE))[0]
    try:
        yield made
    finally:
        await made.disconnect(timeout=DEADLINE)


async def name(client: WebsocketCommunicator) -> str:
    await client.send_json_to({"action": "me", "request_id": 1})
    answer: dict[str, str] = await client.receive_json_from(DEADLINE)
    return answer["data"]


@pytest.mark.parametrize("authenticate", [user_of, async_user_of])
@pytest.mark.parametrize("value", [b"Bearer secret", b"Token secret", b"bearer secret"])
async def test_a_token_in_a_header_logs_in(authenticate: Any, value: bytes) -> None:
    headers = [(b"host", b"testserver"), (b"authorization", value)]
    async with connected(authenticate=authenticate, headers=headers) as client:
        assert await name(client) == "ann"


@pytest.mark.parametrize(
    ("protocols", "chosen"),
    [
        (["token.secret"], "token.secret"),
        (["other", "token.secret"], "other"),
        (["token.secret", "collab"], "collab"),
    ],
)
async def test_a_token_in_a_subprotocol_logs_in_and_one_is_chosen(
    protocols: list[str], chosen: str
) -> None:
    client = communicator(protocols=protocols)
    assert await client.connect(DEADLINE) == (True, chosen)
    assert await name(client) == "ann"
    await client.disconnect(timeout=DEADLINE)


async def test_the_application_does_not_see_the_token_among_the_subprotocols() -> None:
    class Seeing(Who):
        @action
        async def me(self) -> str:
            return str(self.scope["subprotocols"])

    async with connected(consumer=Seeing, protocols=["token.secret", "collab"]) as client:
        assert await name(client) == "['collab']"


async def test_a_token_takes_precedence_over_the_session() -> None:
    bob = User(pk=2, username="bob")
    async with connected(user=bob, headers=[(b"authorization", b"Token secret")]) as client:
        assert await name(client) == "ann"
    async with connected(user=bob) as client:
        assert await name(client) == "bob"


@pytest.mark.parametrize(
    "authenticate",
    [
        user_of,
        refusing(AuthenticationFailed("expired")),
        refusing(PermissionDenied()),
        refusing(ValueError("not a token")),
        refusing(DataError("text fields cannot contain NUL")),
    ],
)
async def test_a_token_that_is_not_valid_refuses_also_where_anonymous_users_may_connect(
    authenticate: Any,
) -> None:
    client = communicator(
        consumer=Open, authenticate=authenticate, headers=[(b"authorization", b"Bearer wrong")]
    )
    assert await client.connect(DEADLINE) == (False, CloseCode.UNAUTHENTICATED)


async def test_clients_with_our_subprotocol_see_the_close_code() -> None:
    client = communicator(protocols=["collab", "token.wrong"])
    assert await client.connect(DEADLINE) == (True, "collab")
    message = await client.receive_output(DEADLINE)
    assert message["code"] == CloseCode.UNAUTHENTICATED
    assert message["reason"] == "The token is not valid."


@pytest.mark.parametrize("value", [b"Basic secret", b"Bearer", b"secret"])
async def test_other_headers_are_left_alone(value: bytes) -> None:
    headers = [(b"authorization", value)]
    async with connected(consumer=Open, headers=headers) as client:
        assert await name(client) == ""


async def test_an_error_while_a_token_is_looked_up_is_not_a_refusal() -> None:
    client = communicator(
        authenticate=refusing(LookupError("broken")), headers=[(b"authorization", b"Token secret")]
    )
    await client.send_input({"type": "websocket.connect"})
    with pytest.raises(LookupError):
        await client.wait(DEADLINE)


async def test_a_revoked_token_ends_the_connection_at_the_next_check() -> None:
    async with connected(headers=[(b"authorization", b"Token secret")]) as client:
        assert await name(client) == "ann"
        [member] = current_hub().lobby
        await member.connection.recheck_access()
        assert await name(client) == "ann"
        valid.clear()
        await member.connection.recheck_access()
        message = await client.receive_output(DEADLINE)
        assert (message["type"], message["code"]) == ("websocket.close", CloseCode.UNAUTHENTICATED)


async def test_tokens_are_by_default_those_of_rest_framework() -> None:
    user = await User.objects.acreate(username="carol")
    token = await Token.objects.acreate(user=user)
    headers = [(b"authorization", b"Token " + token.key.encode())]
    async with connected(authenticate=None, headers=headers) as client:
        assert await name(client) == "carol"
        [member] = current_hub().lobby
        await token.adelete()
        await member.connection.recheck_access()
        message = await client.receive_output(DEADLINE)
        assert message["code"] == CloseCode.UNAUTHENTICATED


# The first frame.


async def test_a_token_in_the_first_frame_logs_in_and_is_answered() -> None:
    async with connected(first_frame=True) as client:
        await client.send_json_to({"action": "authenticate", "request_id": 7, "token": "secret"})
        answer = await client.receive_json_from(DEADLINE)
        assert (answer["action"], answer["request_id"]) == ("authenticate", 7)
        assert answer["response_status"] == 204
        assert await name(client) == "ann"


async def test_a_first_frame_without_an_action_is_not_answered() -> None:
    async with connected(first_frame=True, protocols=["collab"]) as client:
        await client.send_json_to({"token": "secret"})
        assert await name(client) == "ann"


async def test_no_first_frame_is_awaited_of_those_who_are_logged_in() -> None:
    async with connected(first_frame=True, user=ANN) as client:
        assert await name(client) == "ann"
    headers = [(b"authorization", b"Token secret")]
    async with connected(first_frame=True, headers=headers) as client:
        assert await name(client) == "ann"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"token": "wrong"}', CloseCode.UNAUTHENTICATED),
        ('{"token": 1}', CloseCode.PROTOCOL_VIOLATION),
        ('{"action": "me", "request_id": 1}', CloseCode.PROTOCOL_VIOLATION),
        ("[]", CloseCode.PROTOCOL_VIOLATION),
        ("not JSON", CloseCode.PROTOCOL_VIOLATION),
        ("[" * 100_000, CloseCode.PROTOCOL_VIOLATION),
        (json.dumps({"token": "x" * 2**20}), CloseCode.TOO_BIG),
    ],
)
async def test_another_first_frame_ends_the_connection(text: str, code: int) -> None:
    async with connected(consumer=Open, first_frame=True) as client:
        await client.send_to(text_data=text)
        message = await client.receive_output(DEADLINE)
        assert (message["type"], message["code"]) == ("websocket.close", code)


async def test_a_binary_first_frame_ends_the_connection() -> None:
    async with connected(first_frame=True) as client:
        await client.send_to(bytes_data=b"\0\0\0")
        message = await client.receive_output(DEADLINE)
        assert message["code"] == CloseCode.PROTOCOL_VIOLATION


async def test_a_client_that_sends_no_token_in_time_is_refused(settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "FIRST_FRAME_TIMEOUT": 0.01}
    async with connected(first_frame=True) as client:
        message = await client.receive_output(DEADLINE)
        assert message["code"] == CloseCode.UNAUTHENTICATED


async def test_a_client_may_go_before_it_sends_a_token() -> None:
    async with connected(first_frame=True):
        pass


async def test_connections_without_a_token_yet_count_for_their_address(
    settings: Any,
) -> None:
    settings.COLLAB = {**settings.COLLAB, "MAX_ADDRESS_CONNECTIONS": 1}
    async with connected(first_frame=True) as first:
        second = communicator(first_frame=True)
        assert (await second.connect(DEADLINE))[0] is False
        await first.send_json_to({"token": "secret"})
        assert await name(first) == "ann"


# Others.


async def test_requests_of_http_are_left_alone() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scope = {"type": "http"}
    await TokenAuthMiddleware(app)(scope, None, None)  # type: ignore[arg-type]
    assert seen == [scope]
