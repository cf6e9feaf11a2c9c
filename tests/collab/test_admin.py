from __future__ import annotations

import asyncio
import importlib

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.urls import path
from pycrdt import Text

import collab.admin
from collab import documents
from collab.consumers import YjsConsumer
from collab.testing import close_rooms, connect
from collab_storage.models import Document

application = URLRouter([path("ws/<path:room>", YjsConsumer.as_asgi())])
ROOT = {"is_staff": True, "is_superuser": True}


def delete_in_admin(name: str) -> int:
    """Delete a document as a person would, in a thread of its own; return the status."""
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    document = Document.objects.get(name=name)
    url = f"/admin/collab_storage/document/{document.pk}/delete/"
    status = client.post(url, {"post": "yes"}).status_code
    connections.close_all()
    return status


@pytest.mark.django_db(transaction=True)
async def test_who_is_in_a_document_that_is_deleted_in_the_admin_is_sent_away() -> None:
    async with connect(application, "/ws/room") as client:
        client.doc.get("text", type=Text).insert(0, "soon gone")
        await client.wait_saved()
        assert await asyncio.to_thread(delete_in_admin, "room") == 302
        assert (await client.wait_closed()).code == 4404
    await close_rooms()
    assert not await documents.aexists("room")


@pytest.mark.django_db(transaction=True)
async def test_a_document_that_nobody_is_in_is_deleted() -> None:
    await documents.asend_doc_update("room", b"\0\0")
    assert await sync_to_async(delete_in_admin)("room") == 302
    assert not await documents.aexists("room")


@pytest.mark.django_db(transaction=True)
async def test_the_page_of_a_document_has_its_address_and_its_users() -> None:
    ann = await sync_to_async(User.objects.create_user)("ann")

    def page(name: str) -> str:
        client = Client()
        client.force_login(User.objects.get_or_create(username="root", defaults=ROOT)[0])
        document = Document.objects.get(name=name)
        answer = client.get(f"/admin/collab_storage/document/{document.pk}/change/")
        connections.close_all()
        return answer.content.decode()

    await documents.asend_doc_update("recorded/5", b"\0\0")
    await documents.asend_doc_update("without a type", b"\0\0")
    async with (
        connect(application, "/ws/recorded/5", user=ann),
        connect(application, "/ws/recorded/5"),
    ):
        html = await asyncio.to_thread(page, "recorded/5")
    assert '<a href="/recorded/5">/recorded/5</a>' in html
    assert "ann, anonymous user" in html
    assert "/recorded" not in await asyncio.to_thread(page, "without a type")
    await close_rooms()


def test_a_project_without_documents_in_its_database_has_no_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = admin.site._registry[Document]
    with monkeypatch.context() as patched:
        patched.setattr("django.apps.apps.is_installed", lambda name: False)
        importlib.reload(collab.admin)
    assert admin.site._registry[Document] is before
