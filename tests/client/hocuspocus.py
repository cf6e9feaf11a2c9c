"""What clients of Hocuspocus find: documents by the user that a token names."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from collab import documents
from collab.access import Access
from collab.exceptions import Forbidden, Unauthenticated
from collab.hocuspocus import HocuspocusConsumer, HocuspocusMember

__all__ = ["Tokens"]


@documents.register("shared/<str:key>")
class Shared(documents.DocumentType):
    """A document whose first letter of the user's name says what the user may do."""

    def authorize(self, user: Any, key: str) -> Access:
        name = getattr(user, "username", "")
        if name.startswith("forbidden"):
            raise Forbidden("Not for you.")
        return Access.READ if name.startswith("reader") else Access.WRITE


class Tokens(HocuspocusConsumer):
    """Takes tokens for the names of users, but for one that has expired."""

    async def user_of_token(self, token: str) -> User:
        if token in ("", "expired"):
            raise Unauthenticated("The token has expired.")
        return User(pk=abs(hash(token)), username=token)

    async def receive_stateless(self, member: HocuspocusMember, payload: str) -> None:
        member.send_stateless(f"{member.room_name}: {payload}")
