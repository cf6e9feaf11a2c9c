"""Access is checked again in the consumers, whatever kind of code has asked for it."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import User
from django.urls import path

from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer
from collab.testing import connect

pytestmark = pytest.mark.django_db(transaction=True)


class Consumer(YjsConsumer):
    """Staff may write; it takes more than one query to find out who is."""

    async def authorize(self) -> Access:
        user = await User.objects.aget(pk=self.scope["user"].pk)
        staff = await User.objects.filter(is_staff=True).acontains(user)
        return Access.WRITE if staff else Access.READ


application = URLRouter([path("ws/<str:room>", Consumer.as_asgi())])


def make_staff(user: User) -> None:
    """Do as a synchronous view would."""
    user.is_staff = True
    user.save()
    documents.recheck_access("room", user)


@pytest.mark.parametrize(
    "run", [sync_to_async, lambda view: lambda *a: asyncio.to_thread(view, *a)]
)
async def test_a_view_asks(run: object) -> None:
    assert callable(run)
    user = await User.objects.acreate(username="ann")
    async with connect(application, "/ws/room", user=user) as client:
        assert client.access == "read"
        await run(make_staff)(user)
        await client.wait_until(lambda: client.access == "write")


async def test_async_code_asks() -> None:
    user = await User.objects.acreate(username="ann")
    async with connect(application, "/ws/room", user=user) as client:
        await User.objects.aupdate(is_staff=True)
        await documents.arecheck_access("room")
        await client.wait_until(lambda: client.access == "write")
