"""Users of sessions as they are now, read together for the connections that ask together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple, TypeAlias

from channels.auth import get_user
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.sessions.backends import db
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from collab.engine.runtime.gathering import Gathering
from collab.engine.runtime.per_loop import PerLoop
from collab_storage.chunks import chunks

__all__ = ["current_user"]

SessionData: TypeAlias = Mapping[str, Any]

#: Stands for the user of a session whose hash is of another password or secret key: Channels
#: decides.
_UNVERIFIED: Final = object()
#: Methods that read a session; one that overrides them reads it elsewhere, too.
_READS: Final = ("load", "_get_session_from_db")


async def current_user(session: Any, user: Any) -> Any:
    """Return the user of a session as of now, possibly anonymous.

    Connections that ask together share queries and, if they are of one user, the user. With
    sessions in the database and users of ``ModelBackend`` that is a query for all sessions, and
    one for all users.

    Args:
        session: of the connection, as it was read when the connection came.
        user: of the connection, which it keeps if it has not got it from the session.
    """
    return await _gatherings.current().ask(None, _Question(session, user))


class _Question(NamedTuple):
    """The session and the user that a connection came with."""

    session: Any
    user: Any

    @property
    def is_of_session(self) -> bool:
        """Whether the user is the session's."""
        return bool(self.session.get(SESSION_KEY) == str(self.user.pk))


async def _answer(subject: None, questions: Sequence[_Question]) -> Sequence[Any]:
    users: list[Any] = await database_sync_to_async(_read_users)(questions)
    for number, (question, user) in enumerate(zip(questions, users, strict=True)):
        if user is _UNVERIFIED:
            try:
                users[number] = await get_user({"session": _store(question.session.session_key)})
            except Exception as error:
                users[number] = error
    return users


_gatherings: PerLoop[Gathering[None, _Question, Any]] = PerLoop(lambda: Gathering(_answer))


def _read_users(questions: Sequence[_Question]) -> list[Any]:
    """Return a user, an error or ``_UNVERIFIED`` for each question."""
    own = {
        place: each.session.session_key
        for place, each in enumerate(questions)
        if each.is_of_session
    }
    sessions = _read_sessions([*dict.fromkeys(own.values())])
    users = _UsersOfBackends(sessions.values())
    return [
        _user_in(sessions.get(own[place], {}), users) if place in own else question.user
        for place, question in enumerate(questions)
    ]


def _user_in(session: SessionData | Exception, users: _UsersOfBackends) -> Any:
    # The app of users need not be installed.
    from django.contrib.auth.models import AnonymousUser

    if isinstance(session, Exception):
        return session
    user = users.user(session)
    if user is None:
        return AnonymousUser()
    return user if isinstance(user, Exception) or _is_verified(session, user) else _UNVERIFIED


# Sessions.


def _store(key: str | None) -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def _read_sessions(keys: Sequence[str]) -> dict[str, Any]:
    """Return the data of sessions, or errors, by key."""
    kind = type(_store(None))
    if all(getattr(kind, name, None) is getattr(db.SessionStore, name) for name in _READS):
        return _read_rows(keys)
    found: dict[str, Any] = {}
    for key in keys:
        try:
            found[key] = dict(_store(key).items())
        except Exception as error:
            found[key] = error
    return found


def _read_rows(keys: Sequence[str]) -> dict[str, Any]:
    store = _store(None)
    current = store.get_model_class()._default_manager.filter(expire_date__gt=timezone.now())
    return {
        row.session_key: store.decode(row.session_data)
        for chunk in chunks(keys)
        for row in current.filter(session_key__in=chunk)
    }


# Users.


class _UsersOfBackends:
    """The users of sessions, each read once.

    Args:
        sessions: the data of the sessions, or errors.
    """

    def __init__(self, sessions: Iterable[Any]) -> None:
        self._users: dict[tuple[str, Any], Any] = {}
        wanted = (_user_of(each) for each in sessions if not isinstance(each, Exception))
        by_backend: dict[str, set[Any]] = {}
        for path, user_id in filter(None, wanted):
            by_backend.setdefault(path, set()).add(user_id)
        for path, user_ids in by_backend.items():
            for user_id, user in _ask_backend(path, user_ids).items():
                self._users[path, user_id] = user

    def user(self, session: SessionData) -> Any:
        """Return the user of a session, or an error; ``None`` if it has none."""
        wanted = _user_of(session)
        return None if wanted is None else self._users.get(wanted)


def _user_of(session: SessionData) -> tuple[str, Any] | None:
    """Return the path of the backend and the primary key of the user of a session."""
    if SESSION_KEY not in session or session.get(BACKEND_SESSION_KEY) not in _backends():
        return None
    user_id = get_user_model()._meta.pk.to_python(session[SESSION_KEY])
    return session[BACKEND_SESSION_KEY], user_id


def _backends() -> Sequence[str]:
    return settings.AUTHENTICATION_BACKENDS


def _ask_backend(path: str, user_ids: Iterable[Any]) -> dict[Any, Any]:
    """Return the users, or errors, that a backend of Django's authentication has, by key."""
    backend: Any = load_backend(path)
    from django.contrib.auth.backends import ModelBackend

    if getattr(type(backend), "get_user", None) is ModelBackend.get_user:
        users = get_user_model()._default_manager
        rows = [row for chunk in chunks(user_ids) for row in users.filter(pk__in=chunk)]
        return {row.pk: row for row in rows if backend.user_can_authenticate(row)}
    found = {}
    for user_id in user_ids:
        try:
            found[user_id] = backend.get_user(user_id)
        except Exception as error:
            found[user_id] = error
    return found


def _is_verified(session: SessionData, user: Any) -> bool:
    """Return whether a session was made with the user's present password, if that matters."""
    if not hasattr(user, "get_session_auth_hash"):
        return True
    verified: str = session.get(HASH_SESSION_KEY) or ""
    return bool(verified) and constant_time_compare(verified, user.get_session_auth_hash())
