"""Consumers that tests of Hocuspocus' clients share."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from django.contrib.auth.models import User

from collab.access import Access
from collab.exceptions import Forbidden, Unauthenticated
from collab.hocuspocus import HocuspocusConsumer, HocuspocusMember

__all__ = ["Answers", "Echo"]


class Answers(HocuspocusConsumer):
    """Answers for each token as a test has it; a token that has no answer may write."""

    answers: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[tuple[str, str]]] = []
    gate: ClassVar[asyncio.Event | None] = None

    async def authenticate(self, name: str, token: str) -> Any:
        self.asked.append((name, token))
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.get(token, Access.WRITE)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Echo(HocuspocusConsumer):
    """Takes tokens for names of users; sends stateless messages back."""

    received: ClassVar[list[tuple[str | None, Any, Access, str]]] = []

    async def user_of_token(self, token: str) -> Any:
        if not token:
            raise Unauthenticated("Send a token.")
        return User(pk=len(token), username=token)

    async def receive_stateless(self, member: HocuspocusMember, payload: str) -> None:
        self.received.append((member.room_name, member.user.username, member.access, payload))
        if payload == "wait":
            await asyncio.Event().wait()
        if payload == "forbidden":
            raise Forbidden("Not that.")
        if payload == "broken":
            raise LookupError("broken")
        member.send_stateless(payload)
