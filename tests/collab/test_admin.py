from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator

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
from collab.editor import document_name
from collab.testing import close_rooms, connect
from collab_storage.models import Document, Update
from tests.projects.documents import calls
from tests.texts.models import Article

application = URLRouter([path("ws/<path:room>", YjsConsumer.as_asgi())])


@pytest.fixture(autouse=True)
def _forget_calls() -> Iterator[None]:
    yield
    calls.clear()


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
async def test_members_of_a_document_that_is_deleted_in_the_admin_are_disconnected() -> None:
    async with connect(application, "/ws/room") as client:
        client.doc.get("text", type=Text).insert(0, "soon gone")
        await client.wait_saved()
        assert await asyncio.to_thread(delete_in_admin, "room") == 302
        assert (await client.wait_closed()).code == 4404
    await close_rooms()
    assert not await documents.aexists("room")


@pytest.mark.django_db(transaction=True)
async def test_a_document_without_members_is_deleted() -> None:
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


@pytest.mark.django_db
def test_a_document_that_is_gone_has_no_page(admin_client: Client) -> None:
    assert admin_client.get("/admin/collab_storage/document/1/change/").status_code == 302


@pytest.mark.django_db
def test_a_document_that_cannot_be_read_is_shown_as_such(admin_client: Client) -> None:
    documents.send_doc_update("room", b"\0\0")
    Update.objects.update(data=b"\xff")
    document = Document.objects.get()
    url = f"/admin/collab_storage/document/{document.pk}/change/"
    assert "<pre" in admin_client.get(url).content.decode()


@pytest.mark.django_db
def test_the_fields_of_a_row_are_shown_by_their_schemas(admin_client: Client) -> None:
    article = Article.objects.create(title="A", body="<p><b>x</b></p>", summary="y")
    documents.replace(document_name(article), text="short", schema="plain", field="summary")
    document = Document.objects.get()
    url = f"/admin/collab_storage/document/{document.pk}/change/"
    page = admin_client.get(url).content.decode()
    assert "<h3>body</h3><div><p><strong>x</strong></p></div>" in page
    assert "<h3>summary</h3><div><p>short</p></div>" in page
    assert f'<a href="/articles/{article.pk}">' in page
