"""The documents that clients of Hocuspocus find, and consumers that read tokens."""

from __future__ import annotations

import zlib
from typing import Any

from django.contrib.auth.models import User

from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer
from collab.engine.rooms.member import Member
from collab.exceptions import Forbidden, Unauthenticated
from collab.hocuspocus import HocuspocusConsumer, HocuspocusMember

__all__ = ["Obeying", "Shared", "Tokens"]


@documents.register("shared/<str:key>")
class Shared(documents.DocumentType):
    """A document to which the first letters of a user's name give access."""

    def authorize(self, user: Any, key: str) -> Access:
        name = getattr(user, "username", "")
        if name.startswith("forbidden"):
            raise Forbidden("Not for you.")
        return Access.READ if name.startswith("reader") else Access.WRITE


class Tokens(HocuspocusConsumer):
    """Takes tokens for the names of users, but for one that has expired; obeys some messages."""

    async def user_of_token(self, token: str) -> User:
        if token in ("", "expired"):
            raise Unauthenticated("The token has expired.")
        # What is behind a stop is another token of the same user.
        name = token.partition(".")[0]
        return User(pk=zlib.crc32(name.encode()), username=name)

    async def receive_stateless(self, member: HocuspocusMember, payload: str) -> None:
        if payload == "token":
            member.request_token()
        else:
            await obey(member, payload)


class Obeying(YjsConsumer):
    """Obeys the same messages of clients that connect to one document."""

    async def receive_stateless(self, member: Member, payload: str) -> None:
        await obey(member, payload)


async def obey(member: Member, payload: str) -> None:
    """Do what a message says, or send it back."""
    assert member.room_name is not None
    if payload == "close":
        member.close_document("Lunch.")
    elif payload.startswith("all "):
        await documents.asend_stateless(member.room_name, payload.removeprefix("all "))
    else:
        member.send_stateless(f"{member.room_name}: {payload}")
