"""The history of documents in the admin: what is shown to whom, and restorations."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import F
from django.test import Client
from django.utils import timezone
from pycrdt import XmlElement, XmlFragment, XmlText

from collab import documents, history
from collab.access import Access
from collab_storage.models import Document, DocumentVersion

from .material import letters, write

NAME = "archived/a"

pytestmark = pytest.mark.django_db(transaction=True)


def root() -> User:
    return User.objects.create_superuser("root")


def client_of(user: User, *, checks: bool = False) -> Client:
    client = Client(enforce_csrf_checks=checks)
    client.force_login(user)
    return client


def url(page: str = "", name: str = NAME) -> str:
    return f"/admin/collab_storage/document/{Document.objects.get(name=name).pk}/versions/{page}"


def shown(client: Client, page: str = "", name: str = NAME, **query: str | int) -> str:
    answer = client.get(url(page, name), query)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def test_the_page_of_a_document_links_to_its_versions() -> None:
    write(NAME, "one")
    page = url().removesuffix("versions/") + "change/"
    html = client_of(root()).get(page).content.decode()
    assert f'href="{url()}"' in html


def test_versions_are_listed_by_day_kind_and_author() -> None:
    ann, client = User.objects.create(username="ann"), client_of(root())
    assert client.get("/admin/collab_storage/document/7/versions/").status_code == 404
    write(NAME, "one")
    assert "There are no versions" in shown(client)
    history.create(NAME, "Old <b>", user=ann)
    DocumentVersion.objects.update(at=F("at") - timedelta(days=3))
    write(NAME, " two", ann)
    history.create(NAME)
    html = shown(client)
    assert html.count("<h2>") == 2 and "Old &lt;b&gt;" in html and "ann" in html
    assert "Old" not in shown(client, kind="auto") and "Old" in shown(client, kind="named")
    assert html.count("/compare/") == 2 == shown(client, author=str(ann.pk)).count("/compare/")
    assert shown(client, author="99").count("/compare/") == 0
    day = timezone.localtime(DocumentVersion.objects.earliest("at").at).date()
    assert shown(client, day=str(day)).count("/compare/") == 1


def test_long_histories_have_several_pages() -> None:
    write(NAME, "one")
    first = history.create(NAME)
    stored = DocumentVersion.objects.get(pk=first.id)
    for _ in range(120):
        stored.pk = None
        stored.save()
    client = client_of(root())
    assert shown(client).count("/compare/") == 100 and "Earlier" in shown(client)
    assert shown(client, p="2").count("/compare/") == 21 and "Later" in shown(client, p="2")


def test_a_version_is_rendered_and_compared() -> None:
    ann, client = User.objects.create(username="ann"), client_of(root())
    write(NAME, "one <b>")
    first = history.create(NAME)
    write(NAME, " two", ann)
    second = history.create(NAME)
    write(NAME, " three")
    html = shown(client, f"{first.id}/")
    assert "one &lt;b&gt;" in html and "two" not in html and "/restore/" in html
    html = shown(client, f"{first.id}/compare/")
    assert '<ins class="collab-added author-0"> two</ins>' in html and "three" in html
    assert '<span class="author-0">ann</span>' in html
    assert "three" not in shown(client, f"{first.id}/compare/", to=second.id)
    assert "Nothing differs" in shown(client, f"{first.id}/compare/", to=first.id)


def test_content_that_no_schema_can_say_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_of(root())
    write("plain", "one")
    first = history.create("plain")
    assert "one</pre>" in shown(client, f"{first.id}/", "plain")
    monkeypatch.setattr(documents.type_of(NAME), "content", "tiptap")
    write(NAME, "one")
    with documents.edit(NAME) as doc:
        parent = doc.get("default", type=XmlFragment)
        for _ in range(300):
            parent.children.append(XmlElement("blockquote"))
            parent = parent.children[0]
        parent.children.append(XmlText("deep"))
    deep = history.create(NAME)
    assert "blockquote" in shown(client, f"{deep.id}/")
    assert "nodes inside each other" in shown(client, f"{deep.id}/compare/")


def test_a_restoration_is_confirmed_and_recorded() -> None:
    user = root()
    client = client_of(user, checks=True)
    write(NAME, "one")
    first = history.create(NAME)
    write(NAME, " two")
    page = f"{first.id}/restore/"
    html = shown(client, page)
    assert "two</ins>" in html and "csrfmiddlewaretoken" in html
    assert letters(documents.read(NAME)) == "one two"
    assert client.post(url(page)).status_code == 403
    client.cookies["csrftoken"] = "a" * 32
    answer = client.post(url(page), {"csrfmiddlewaretoken": "a" * 32})
    assert answer.status_code == 302 and answer.headers["Location"] == url()
    assert letters(documents.read(NAME)) == "one"
    before = history.versions(NAME, limit=1)[0]
    assert (before.kind, before.made_by) == ("restore", str(user.pk))
    assert "The version was restored" in shown(client)


def test_permissions_and_the_type_say_who_may() -> None:
    write(NAME, "one")
    write("plain", "one")
    id, plain = history.create(NAME).id, history.create("plain").id
    other = User.objects.create(username="other", is_staff=True)
    page = f"{id}/restore/"
    assert client_of(other).get(url()).status_code == 403
    codes = ["view_document"]
    other.user_permissions.set(Permission.objects.filter(codename__in=codes))
    assert "/restore/" not in shown(client_of(other), f"{id}/")
    assert client_of(other).post(url(page)).status_code == 403
    codes.append("change_document")
    other.user_permissions.set(Permission.objects.filter(codename__in=codes))
    assert client_of(other).post(url(page)).status_code == 302
    assert client_of(other).post(url(f"{plain}/restore/", "plain")).status_code == 302
    for wrong in (plain, 10**30, 0):
        for rest in ("", "compare/", "restore/"):
            assert client_of(other).post(url(f"{wrong}/{rest}")).status_code == 404
    assert client_of(other).get(url(f"{id}/compare/"), {"to": plain}).status_code == 404
    assert "Nothing differs" in shown(client_of(other), f"{id}/compare/", to="9" * 5000)


def test_the_type_says_who_reads_versions_and_who_restores_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(NAME, "one")
    id = history.create(NAME).id
    kind, client = documents.type_of(NAME), client_of(root())
    monkeypatch.setattr(kind, "authorize", lambda self, user, slug: Access.NONE)
    for page in ("", f"{id}/", f"{id}/compare/", f"{id}/restore/"):
        assert client.get(url(page)).status_code == 403
    monkeypatch.setattr(kind, "authorize", lambda self, user, slug: Access.READ)
    assert "/restore/" not in shown(client, f"{id}/")
    assert client.post(url(f"{id}/restore/")).status_code == 403


def test_a_type_hides_early_versions_and_refuses_restorations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(NAME, "one")
    old = history.create(NAME, "Old")
    DocumentVersion.objects.update(at=F("at") - timedelta(days=2))
    write(NAME, " two")
    new = history.create(NAME, "New")
    kind, client = documents.type_of(NAME), client_of(root())
    monkeypatch.setattr(kind, "versions_since", lambda self, user, slug: new.at)
    monkeypatch.setattr(kind, "can_restore", lambda self, user, slug: False)
    assert "Old" not in shown(client) and "New" in shown(client)
    assert client.get(url(f"{old.id}/")).status_code == 404
    assert client.get(url(f"{new.id}/compare/"), {"to": old.id}).status_code == 404
    assert "/restore/" not in shown(client, f"{new.id}/")
    assert client.post(url(f"{new.id}/restore/")).status_code == 403
