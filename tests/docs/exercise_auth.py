"""Uses the samples of docs/auth.md."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.urls import path
from notes.consumers import NoteConsumer  # type: ignore[import-not-found]
from notes.models import Note  # type: ignore[import-not-found]
from notes.sharing import stop_sharing  # type: ignore[import-not-found]
from notes.tokens import TokenConsumer, token  # type: ignore[import-not-found]

from collab.testing import ConnectionClosed, connect

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]

application = URLRouter(
    [
        path("ws/<int:pk>", NoteConsumer.as_asgi()),
        path("token/<str:room>", TokenConsumer.as_asgi()),
    ]
)


async def close_code(address: str, user: object) -> int:
    with pytest.raises(ConnectionClosed) as refusal:
        async with connect(application, address, user=user):
            pytest.fail("It was let in.")
    return refusal.value.code


async def test_owners_write_readers_read_and_others_are_refused() -> None:
    owner, reader, other = [
        await User.objects.acreate(username=name) for name in ("owner", "reader", "other")
    ]
    note = await Note.objects.acreate(owner=owner)
    await note.readers.aadd(reader)
    address = f"/ws/{note.pk}"

    async with connect(application, address, user=owner) as client:
        assert client.access == "write"
    assert await close_code(address, other) == 4403
    assert await close_code(address, AnonymousUser()) == 4401
    assert await close_code("/ws/0", owner) == 4404

    async with connect(application, address, user=reader) as client:
        assert client.access == "read"
        await sync_to_async(stop_sharing)(note, reader)
        assert (await client.wait_closed()).code == 4403


async def test_tokens_let_in_until_they_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    request = HttpRequest()
    request.user = await User.objects.acreate(username="ann")
    signed = (await asyncio.to_thread(token, request)).content.decode()
    async with connect(application, f"/token/first?token={signed}") as client:
        assert client.access == "write"
    assert await close_code("/token/first", None) == 4401
    assert await close_code(f"/token/first?token={signed}x", None) == 4401
