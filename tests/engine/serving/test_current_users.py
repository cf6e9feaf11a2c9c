"""The users of many connections are read together, and no less carefully than one by one."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheSessionStore
from django.contrib.sessions.backends.db import SessionStore as SessionStoreOfRows
from django.test.utils import override_settings

from collab.engine.serving.current_users import current_user
from tests.engine.serving.queries import captured_queries

pytestmark = pytest.mark.django_db(transaction=True)

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


class LdapBackend(ModelBackend):
    """Has users of its own, and no connection to the directory for those called ``broken``."""

    def get_user(self, user_id: int) -> User | None:
        user = User.objects.get(pk=user_id)
        if user.username == "broken":
            raise ConnectionError("away")
        return user


class PickyStore(CacheSessionStore):
    """Sessions in the cache, which cannot be read for some keys."""

    unreadable: ClassVar[set[str]] = set()

    def load(self) -> dict[str, Any]:
        if self.session_key in self.unreadable:
            raise ConnectionError("away")
        return super().load()


SessionStore = PickyStore


def make_user(name: str, **attributes: Any) -> User:
    user: User = User.objects.create(username=name, password="unusable", **attributes)
    return user


def unsaved_session_of(user: User, backend: str = MODEL_BACKEND) -> SessionBase:
    session: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = backend
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    return session


def session_of(user: User, backend: str = MODEL_BACKEND) -> SessionBase:
    """Return a new session of a user, as a connection has it."""
    session = unsaved_session_of(user, backend)
    session.save()
    return session


@sync_to_async
def logged_in(name: str, backend: str = MODEL_BACKEND) -> tuple[SessionBase, User]:
    user = make_user(name)
    return session_of(user, backend), user


@sync_to_async
def many_logged_in(number: int, **attributes: Any) -> list[tuple[SessionBase, User]]:
    """Return sessions with their users, stored by few queries."""
    users = User.objects.bulk_create(
        User(username=f"user {each}", **attributes) for each in range(number)
    )
    pairs = []
    for number, user in enumerate(users):
        session = unsaved_session_of(user)
        session._session_key = f"session-{number}"
        pairs.append((session, user))
    make: Any = SessionStoreOfRows.create_model_instance
    rows = [make(each, dict(each.items())) for each, _ in pairs]
    type(rows[0]).objects.bulk_create(rows)
    return pairs


async def ask_together(*pairs: tuple[Any, Any]) -> list[Any]:
    asks = [current_user(session, user) for session, user in pairs]
    return await asyncio.gather(*asks, return_exceptions=True)


@pytest.mark.parametrize("number", [1, 500])
async def test_a_query_reads_all_sessions_and_one_all_users(number: int) -> None:
    pairs = await many_logged_in(number)
    async with captured_queries() as queries:
        found = await ask_together(*pairs)
    assert found == [user for _, user in pairs]
    assert len(queries) == 2


async def test_more_are_read_by_further_queries() -> None:
    pairs = await many_logged_in(501)
    assert await ask_together(*pairs) == [user for _, user in pairs]


async def test_connections_of_one_user_get_the_user_as_of_now() -> None:
    session, ann = await logged_in("ann")
    await User.objects.filter(pk=ann.pk).aupdate(last_name="Renamed")
    second = await sync_to_async(session_of)(ann)
    found = await ask_together((session, ann), (second, ann), (session, ann))
    assert [user.last_name for user in found] == ["Renamed"] * 3
    assert ann.last_name == ""


async def test_users_logged_out_deactivated_or_deleted_are_anonymous_and_no_other() -> None:
    pairs = [await logged_in(name) for name in ("out", "inactive", "deleted", "ann")]
    await sync_to_async(pairs[0][0].delete)()
    await User.objects.filter(username="inactive").aupdate(is_active=False)
    await User.objects.filter(username="deleted").adelete()
    found = await ask_together(*pairs)
    assert [user.is_anonymous for user in found] == [True, True, True, False]


async def test_a_session_of_a_former_password_is_ended() -> None:
    pairs = [await logged_in(name) for name in ("changed", "ann")]
    await User.objects.filter(username="changed").aupdate(password="other")
    found = await ask_together(*pairs)
    assert [user.is_anonymous for user in found] == [True, False]
    assert not await sync_to_async(pairs[0][0].exists)(str(pairs[0][0].session_key))


async def test_an_expired_session_has_no_user() -> None:
    pair = await logged_in("ann")
    await sync_to_async(pair[0].set_expiry)(-1)
    await sync_to_async(pair[0].save)()
    (found,) = await ask_together(pair)
    assert found.is_anonymous


async def test_a_session_of_a_backend_that_is_not_used_any_more_has_no_user() -> None:
    pair = await logged_in("ann", f"{__name__}.LdapBackend")
    (found,) = await ask_together(pair)
    assert found.is_anonymous


async def test_a_user_who_is_not_the_sessions_stays() -> None:
    session, ann = await logged_in("ann")
    of_token = User(pk=77)
    found = await ask_together((session, of_token), (session, ann))
    assert found[0] is of_token
    assert found[1] == ann


async def test_other_backends_are_asked_and_fail_for_their_user_alone() -> None:
    backend = f"{__name__}.LdapBackend"
    with override_settings(AUTHENTICATION_BACKENDS=[MODEL_BACKEND, backend]):
        pairs = [await logged_in("broken", backend), await logged_in("ldap", backend)]
        pairs.append(await logged_in("ann"))
        found = await ask_together(*pairs)
    assert isinstance(found[0], ConnectionError)
    assert found[1:] == [user for _, user in pairs[1:]]


async def test_sessions_elsewhere_are_read_and_fail_for_their_user_alone() -> None:
    with override_settings(SESSION_ENGINE=__name__):
        pairs = [await logged_in("broken"), await logged_in("ann")]
        PickyStore.unreadable = {str(pairs[0][0].session_key)}
        found = await ask_together(*pairs)
    assert isinstance(found[0], ConnectionError)
    assert found[1] == pairs[1][1]


async def test_a_session_that_cannot_be_ended_fails_for_its_user_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with override_settings(SESSION_ENGINE=__name__):
        pairs = [await logged_in("changed"), await logged_in("ann")]
        await User.objects.filter(username="changed").aupdate(password="other")

        def flush(session: SessionBase) -> None:
            raise ConnectionError("away")

        monkeypatch.setattr(PickyStore, "flush", flush)
        found = await ask_together(*pairs)
    assert isinstance(found[0], ConnectionError)
    assert found[1] == pairs[1][1]


async def test_a_user_without_a_session_hash_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = await logged_in("ann")
    monkeypatch.delattr("django.contrib.auth.base_user.AbstractBaseUser.get_session_auth_hash")
    assert await ask_together(pair) == [pair[1]]


async def test_a_session_without_a_hash_has_no_user() -> None:
    session, ann = await logged_in("ann")
    del session[HASH_SESSION_KEY]
    await sync_to_async(session.save)()
    (found,) = await ask_together((session, ann))
    assert found.is_anonymous
