"""The user whose change is being saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collab.mirror.registry import User

__all__ = ["acting_as", "current_user"]

_user: ContextVar[User | None] = ContextVar("collab_mirror_user", default=None)


def current_user() -> User | None:
    """Return the user whose change of a document is being saved; ``None`` outside of that.

    For handlers of Django's signals and ``save()`` methods.
    """
    return _user.get()


@contextmanager
def acting_as(user: User) -> Iterator[None]:
    """Make ``user`` the :func:`current_user` inside the block."""
    token = _user.set(user)
    try:
        yield
    finally:
        _user.reset(token)
