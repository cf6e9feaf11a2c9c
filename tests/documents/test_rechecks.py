"""Access of many members is checked with few questions, and a refusal holds however it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.test import override_settings
from django.urls import path

from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer
from collab.documents import policy
from collab.engine.hub.current import current_hub
from collab.engine.rooms.member import Member
from collab.engine.serving.access_check import is_rechecking
from collab.exceptions import NoSuchDocument
from collab.testing import CollabClient, connect
from tests.engine.serving.queries import captured_queries
from tests.engine.serving.test_current_users import many_logged_in
from tests.harness.waiting import until
from tests.projects.documents import Crowded, calls

pytestmark = [pytest.mark.usefixtures("memory"), pytest.mark.django_db(transaction=True)]

application: Any = AuthMiddlewareStack(URLRouter([path("ws/<path:room>", YjsConsumer.as_asgi())]))

MEMBERS = 500


@pytest.fixture(autouse=True)
def _fresh_calls() -> None:
    calls.clear()


@asynccontextmanager
async def members(number: int, names: Sequence[str]) -> AsyncIterator[list[CollabClient]]:
    """Connect users who may write, each to one of the documents ``names``."""
    async with AsyncExitStack() as stack:
        # No periodic check comes in between, however long it takes.
        lasting = {**settings.COLLAB, "ACCESS_CHECK_INTERVAL": 3600.0, "ACCESS_GRACE": 3600.0}
        stack.enter_context(override_settings(COLLAB=lasting))
        pairs = await many_logged_in(number, last_name="write")
        yield [
            await stack.enter_async_context(
                connect(
                    application,
                    f"/ws/{names[index % len(names)]}",
                    headers={"cookie": f"sessionid={session.session_key}"},
                )
            )
            for index, (session, _) in enumerate(pairs)
        ]


def asked() -> dict[str, int]:
    """Return of how many users each document was asked since the calls were cleared."""
    return {key: number for call, key, number in calls if call == "access_for"}


@pytest.mark.parametrize("number_of_documents", [1, 20])
async def test_a_recheck_of_many_members_is_a_question_for_each_document(
    number_of_documents: int,
) -> None:
    names = [f"crowded/{number}" for number in range(number_of_documents)]
    async with members(MEMBERS, names):
        calls.clear()
        async with captured_queries() as queries:
            await documents.arecheck_access(pattern="crowded/<slug:key>")
            await until(lambda: sum(asked().values()) == MEMBERS)
            # The type asks after it has recorded the call.
            await until(lambda: len(queries) >= 2 + number_of_documents)
        assert len(calls) == number_of_documents
        # One for the sessions, one for the users, and those of the type itself.
        assert len(queries) == 2 + number_of_documents


async def test_each_member_gets_an_access_of_its_own() -> None:
    async with members(3, ["crowded/a"]) as (writer, reader, outsider):
        users = [user async for user in User.objects.order_by("pk")]
        await User.objects.filter(pk=users[1].pk).aupdate(last_name="read")
        await User.objects.filter(pk=users[2].pk).aupdate(last_name="none")
        await documents.arecheck_access("crowded/a")
        assert (await outsider.wait_closed()).code == 4403
        await reader.wait_until(lambda: reader.access == "read")
        assert asked() == {"a": 3}
        assert writer.access == "write"


# What a type may answer.


async def recheck(*users: Any) -> list[Any]:
    """Ask about connected users together, of the document ``crowded/a``."""

    async def ask(user: Any) -> Access | None:
        is_rechecking.set(True)
        return await policy.authorize("crowded/a", user)

    asks = [asyncio.create_task(ask(user)) for user in users]
    return await asyncio.gather(*asks, return_exceptions=True)


def answer(monkeypatch: pytest.MonkeyPatch, access: Any) -> list[list[Any]]:
    """Make the type answer with a value, or an error; return the users of each question."""
    questions = []

    async def access_for(self: Crowded, users: list[Any], key: str) -> Any:
        questions.append(users)
        if isinstance(access, Exception):
            raise access
        return access

    monkeypatch.setattr(Crowded, "access_for", access_for)
    return questions


ANN, BOB = User(pk=1), User(pk=2)


async def test_a_user_whom_the_answer_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, {ANN: Access.READ})
    assert await recheck(ANN, BOB) == [Access.READ, Access.NONE]


@pytest.mark.parametrize("error", [NoSuchDocument(), PermissionDenied(), OperationalError()])
async def test_an_error_is_the_answer_for_all(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    answer(monkeypatch, error)
    assert await recheck(ANN, BOB) == [error, error]


async def test_a_value_that_is_no_access_is_an_error_for_its_user_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(monkeypatch, {ANN: None, BOB: 3})
    found = await recheck(ANN, BOB)
    assert isinstance(found[0], ValueError)
    assert found[1] is Access.WRITE


async def test_an_answer_that_is_no_dict_says_what_to_return(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(monkeypatch, [Access.WRITE])
    (error,) = await recheck(ANN)
    assert str(error) == ("access_for() of Crowded returned list: return a dict of Access by user.")


async def test_equal_users_with_other_attributes_are_asked_about_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    questions = answer(monkeypatch, {ANN: Access.READ, AnonymousUser(): Access.READ})
    of_token = User(pk=1)
    of_token.is_staff = True
    assert await recheck(ANN, AnonymousUser(), of_token, ANN, AnonymousUser()) == [Access.READ] * 5
    assert questions[0] == [ANN, AnonymousUser()]
    assert questions[1] == [of_token]
    assert questions[1][0] is of_token


async def test_a_type_that_answers_for_many_only_is_asked_about_one_that_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(monkeypatch, {ANN: Access.READ, BOB: 7})
    assert await policy.authorize("crowded/a", ANN) is Access.READ
    with pytest.raises(ValueError, match="7"):
        await policy.authorize("crowded/a", BOB)


async def test_a_type_with_both_is_asked_about_one_that_comes_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def authorize(self: Crowded, user: Any, key: str) -> Access:
        return Access.COMMENT

    monkeypatch.setattr(Crowded, "authorize", authorize)
    answer(monkeypatch, {ANN: Access.READ})
    assert await policy.authorize("crowded/a", ANN) is Access.COMMENT
    assert await recheck(ANN) == [Access.READ]


# What members see of it.


async def test_a_refusal_that_is_raised_ends_every_member(monkeypatch: pytest.MonkeyPatch) -> None:
    async with members(2, ["crowded/a"]) as clients:
        answer(monkeypatch, NoSuchDocument())
        await documents.arecheck_access("crowded/a")
        assert [(await client.wait_closed()).code for client in clients] == [4404, 4404]


def open_members() -> list[Member]:
    (room,) = current_hub().rooms.values()
    return [*room.members]


async def test_an_outage_is_forgiven_by_periodic_checks_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with members(2, ["crowded/a"]) as clients:
        questions = answer(monkeypatch, OperationalError())
        checks = [each.connection.recheck_access(routine=True) for each in open_members()]
        await asyncio.gather(*checks)
        assert len(questions) == 1
        assert [member.is_closed for member in open_members()] == [False, False]
        # The check that the project asks for is not forgiven.
        await documents.arecheck_access("crowded/a")
        assert [(await client.wait_closed()).code for client in clients] == [1013, 1013]


async def test_a_type_that_never_answers_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collab.engine.serving.access_check.ANSWER_TIMEOUT", 0.1)
    ended = []

    async def access_for(self: Crowded, users: Sequence[Any], key: str) -> Mapping[Any, Access]:
        try:
            return await asyncio.Future()
        finally:
            ended.append(key)

    async with members(2, ["crowded/a"]) as clients:
        monkeypatch.setattr(Crowded, "access_for", access_for)
        await documents.arecheck_access("crowded/a")
        assert [(await client.wait_closed()).code for client in clients] == [1013, 1013]
        assert ended == ["a"]


async def never(self: Crowded, user: Any, key: str) -> None:
    await asyncio.Future()


async def test_presence_that_never_comes_holds_back_no_loss_of_access(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collab.engine.rules.PRESENCE_TIMEOUT", 0.1)
    async with members(1, ["crowded/a"]) as (client,):
        monkeypatch.setattr(Crowded, "presence", never)
        await User.objects.aupdate(last_name="read")
        (member,) = open_members()
        await member.connection.recheck_access(routine=True)
        await client.wait_until(lambda: client.access == "read")
        assert not member.is_closed
        await User.objects.aupdate(last_name="none")
        await member.connection.recheck_access(routine=True)
        assert (await client.wait_closed()).code == 4403


async def test_a_connection_whose_presence_never_comes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collab.engine.rules.PRESENCE_TIMEOUT", 0.1)
    monkeypatch.setattr(Crowded, "presence", never)
    with pytest.raises(TimeoutError):
        async with members(1, ["crowded/a"]):
            pass
