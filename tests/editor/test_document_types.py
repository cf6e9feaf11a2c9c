"""Documents of rows: who may open them, and what else their type says."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.test.utils import isolate_apps
from django.urls import path
from pycrdt import Text

from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer
from collab.documents import policy
from collab.documents.registry import Registry
from collab.editor import CollaborativeTextField, document_name
from collab.editor.document_types import document_type_of, register_row_documents
from collab.exceptions import NoSuchDocument
from collab.testing import CollabClient, close_rooms, connect, deliver_changes
from tests.texts.documents import LeafletDocument
from tests.texts.models import Article, ArticleProxy, Entry, Leaflet, Review, Section

pytestmark = pytest.mark.django_db


def access(name: str, user: Any) -> Access | None:
    return async_to_sync(policy.authorize)(name, user)


def with_permissions(*names: str) -> User:
    user = User.objects.create_user("-".join(names) or "none")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return User.objects.get(pk=user.pk)


@pytest.mark.parametrize(
    ("names", "granted"),
    [
        ([], Access.NONE),
        (["view_article"], Access.READ),
        (["change_article"], Access.WRITE),
        (["view_section", "change_section", "add_article", "delete_article"], Access.NONE),
    ],
)
def test_access_is_that_of_the_admin(names: list[str], granted: Access) -> None:
    article = Article.objects.create()
    assert access(document_name(article), with_permissions(*names)) == granted


def test_users_without_rights_and_inactive_ones_have_no_access() -> None:
    article = Article.objects.create()
    root = User.objects.create_superuser("root")
    assert access(document_name(article), root) == Access.WRITE
    root.is_active = False
    for user in (root, AnonymousUser(), None):
        assert access(document_name(article), user) == Access.NONE


@pytest.mark.parametrize("key", ["2", "01", "+1", "1 ", "one", "1/1", "1.0", "x" * 200])
def test_there_are_documents_of_rows_only(key: str) -> None:
    Article.objects.create(pk=1)
    with pytest.raises(NoSuchDocument):
        access(f"texts.article/{key}", User.objects.create_superuser("root"))
    # Those without rights do not learn which rows there are.
    assert access(f"texts.article/{key}", AnonymousUser()) == Access.NONE


def test_a_row_says_itself_who_may_open_it() -> None:
    entry = Entry.objects.create(word="a")
    assert access("texts.entry/a", AnonymousUser()) == Access.READ
    Entry.objects.update(is_open=True)
    assert access("texts.entry/a", AnonymousUser()) == Access.WRITE
    entry.delete()
    with pytest.raises(NoSuchDocument):
        access("texts.entry/a", AnonymousUser())


def test_uuids_have_one_name() -> None:
    leaflet, root = Leaflet.objects.create(), User.objects.create_superuser("root")
    assert access(f"leaflets/{leaflet.pk}", root) == Access.WRITE
    assert access(f"leaflets/{leaflet.pk}".upper(), root) is None
    assert access(f"leaflets/{leaflet.pk.hex}", root) is None


def test_a_document_of_a_name_that_is_none_writes_into_no_row() -> None:
    article = Article.objects.create(pk=1, summary="mine")
    for name in ("texts.article/01", "texts.article/one", "texts.article/7"):
        documents.replace(name, text="forged", schema="plain", field="summary")
    deliver_changes()
    article.refresh_from_db()
    assert article.summary == "mine"


def test_types_are_those_of_the_project_or_made() -> None:
    assert document_type_of(Leaflet) is LeafletDocument
    assert document_type_of(ArticleProxy) is document_type_of(Article)
    assert document_type_of(Review) is not document_type_of(Article)
    assert documents.type_of("texts.section/5") is document_type_of(Section)
    register_row_documents()
    with pytest.raises(ImproperlyConfigured, match="User has no documents"):
        document_name(User(pk=1))


def test_types_are_registered_once_more_for_another_registry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collab.documents.registry._registrations", Registry())
    register_row_documents()
    assert documents.type_of("texts.article/5") is document_type_of(Article)


def test_a_document_leads_to_its_row(settings: Any) -> None:
    article = Article.objects.create(pk=5)
    article_type, entry_type = document_type_of(Article)(), document_type_of(Entry)()
    assert article_type.get_absolute_url(pk="5") == "/articles/5"
    assert article_type.get_absolute_url(pk="6") is None
    Entry.objects.create(word="a_b")
    assert entry_type.get_absolute_url(pk="a_b") == "/admin/texts/entry/a_5Fb/change/"
    settings.ROOT_URLCONF = "tests.editor.no_urls"
    assert entry_type.get_absolute_url(pk="a_b") is None
    assert document_name(article) == "texts.article/5"


def test_versions_are_kept_if_a_field_has_them() -> None:
    assert document_type_of(Article).history == documents.History()
    assert document_type_of(Entry).history is None


@isolate_apps("tests.texts")
def test_fields_are_checked(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    class Wrong(models.Model):
        text = CollaborativeTextField(editor="rech", primary_key=True)  # type: ignore[arg-type]

        class Meta:
            app_label = "texts"

        def __str__(self) -> str:
            return ""

    field: Any = Wrong._meta.get_field("text")
    assert [message.id for message in field.check()] == ["collab.E040", "collab.E042"]
    settings.ROOT_URLCONF = "tests.editor.no_urls"
    body: Any = Article._meta.get_field("body")
    assert [message.id for message in body.check()] == ["collab.E043"]
    settings.ROOT_URLCONF = "tests.urls"
    assert body.check() == []
    settings.TENANT_APPS = ["django.contrib.auth", "tests.texts.apps.TextsConfig"]
    assert [message.id for message in body.check()] == ["collab.E044"]
    settings.TENANT_APPS = ["tests.texts"]
    assert [message.id for message in body.check()] == ["collab.E044"]
    del settings.TENANT_APPS
    monkeypatch.setattr("django.apps.apps.is_installed", lambda name: False)
    summary: Any = Article._meta.get_field("summary")
    assert [message.id for message in summary.check()] == ["collab.E041"]


application = URLRouter([path("ws/<path:room>", YjsConsumer.as_asgi())])


@pytest.mark.django_db(transaction=True)
async def test_a_user_who_may_view_changes_nothing_through_a_websocket() -> None:
    await Entry.objects.acreate(word="a", text="mine")
    async with connect(application, "/ws/texts.entry/a") as client:
        text = client.doc.get("text", type=Text)
        await client.wait_until(lambda: str(text) == "mine")
        assert client.access == "read"
        text.insert(0, "forged ")
        # A change of server code comes to the reader after the refused one.
        entry = await Entry.objects.aget()
        entry.text = "mine, too"
        await entry.asave()
        await client.wait_until(lambda: ", too" in str(text))
    await close_rooms()
    assert await documents.atext("texts.entry/a", schema="plain", field="text") == "mine, too"


def sees(client: CollabClient, number: int) -> bool:
    return number in client.presence


@pytest.mark.django_db(transaction=True)
async def test_others_see_the_name_of_a_user_whatever_the_client_says() -> None:
    await Entry.objects.acreate(word="a", is_open=True)
    user = await User.objects.acreate(username="ann", first_name="Ann", last_name="Lee")
    url = "/ws/texts.entry/a"
    async with (
        connect(application, url) as reader,
        connect(application, url, user=user) as ann,
        connect(application, url) as guest,
    ):
        for client in (ann, guest):
            client.set_presence({"user": {"name": "Root"}})
        for client, name, key in ((ann, "Ann Lee", str(user.pk)), (guest, "Guest", "")):
            number = client.doc.client_id
            await reader.wait_until(partial(sees, reader, number))
            verified = reader.presence[number]["verified"]
            assert (verified["name"], verified["id"]) == (name, key)
            assert verified["color"].startswith("#")
    await close_rooms()
