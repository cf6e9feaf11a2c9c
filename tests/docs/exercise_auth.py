"""Uses the samples of docs/auth.md."""

from __future__ import annotations

import asyncio
import time

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.test.utils import freeze_time
from mysite.asgi import application  # type: ignore[import-not-found]
from notes.models import Article  # type: ignore[import-not-found]
from notes.sharing import stop_sharing  # type: ignore[import-not-found]
from notes.tokens import token  # type: ignore[import-not-found]
from pycrdt import Text

from collab import documents
from collab.testing import ConnectionClosed, connect

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]


async def close_code(address: str, user: object) -> int:
    with pytest.raises(ConnectionClosed) as refusal:
        async with connect(application, address, user=user):
            pytest.fail("It was let in.")
    return refusal.value.code


async def test_owners_write_readers_read_and_others_are_refused() -> None:
    owner, reader, other = [
        await User.objects.acreate(username=name) for name in ("owner", "reader", "other")
    ]
    article = await Article.objects.acreate(owner=owner)
    await article.readers.aadd(reader)
    address = f"/ws/articles/{article.pk}"

    async with connect(application, address, user=owner) as client:
        assert client.access == "write"
    assert await close_code(address, other) == 4403
    assert await close_code(address, AnonymousUser()) == 4401
    assert await close_code("/ws/articles/0", owner) == 4404

    async with connect(application, address, user=reader) as client:
        assert client.access == "read"
        await sync_to_async(stop_sharing)(article, reader)
        assert (await client.wait_closed()).code == 4403


async def test_a_token_opens_the_document_as_long_as_its_user_is_active() -> None:
    request = HttpRequest()
    request.user = ann = await User.objects.acreate(username="ann")
    signed = (await asyncio.to_thread(token, request)).content.decode()
    async with connect(application, f"/ws/tokens/first?token={signed}") as client:
        assert client.access == "write"
        with freeze_time(time.time() + 3600):
            await documents.arecheck_access("first")
        client.doc.get("text", type=Text).insert(0, "Still here. ")
        await client.wait_saved()
        ann.is_active = False
        await ann.asave()
        await documents.arecheck_access("first")
        assert (await client.wait_closed()).code == 4403
    assert await close_code("/ws/tokens/first", None) == 4401
    assert await close_code(f"/ws/tokens/first?token={signed}x", None) == 4401
