from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pycrdt import Doc, Text

from collab_storage.admin import SHOWN, DocumentAdmin
from collab_storage.models import Document
from collab_storage.orm import ORMStorage
from collab_storage.testing.material import entry

pytestmark = pytest.mark.django_db

LIST = "/admin/collab_storage/document/"


def store(name: str, *updates: bytes) -> str:
    """Store a document and return the address of its page."""
    async_to_sync(ORMStorage().append)([entry(name, update) for update in updates])
    return f"{LIST}{Document.objects.get(name=name).pk}/change/"


def text_update(text: str) -> bytes:
    return Doc({"text": Text(text)}).get_update()


def get(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status
    return response.content.decode()


def test_the_list_shows_sizes_without_loading_content(admin_client: Client) -> None:
    store("the document", b"x" * 2_048, b"y" * 2_048)
    with CaptureQueriesContext(connection) as queries:
        page = get(admin_client, LIST)
    assert "the document" in page
    assert "4.0\N{NO-BREAK SPACE}KB" in page
    assert '<td class="field-log_length">2</td>' in page
    assert "March 1, 2024" in page or "Feb. 29, 2024" in page
    read = [query["sql"] for query in queries if '"snapshot"' in query["sql"]]
    assert read and all('"snapshot")' in sql for sql in read)


def test_the_list_is_sorted_by_what_is_shown(admin_client: Client) -> None:
    store("big", b"x" * 1_000)
    store("long", b"x", b"x", b"x")
    for column in range(4):
        ascending = get(admin_client, f"{LIST}?o={column}")
        descending = get(admin_client, f"{LIST}?o=-{column}")
        assert ("big</a>" in ascending) and ("long</a>" in descending)
    by_size = get(admin_client, f"{LIST}?o=-1")
    assert by_size.index("big</a>") < by_size.index("long</a>")
    by_length = get(admin_client, f"{LIST}?o=-3")
    assert by_length.index("long</a>") < by_length.index("big</a>")


def test_search_by_name(admin_client: Client) -> None:
    store("apple", b"")
    store("pear", b"")
    page = get(admin_client, f"{LIST}?q=app")
    assert "apple</a>" in page and "pear</a>" not in page


def test_a_document_is_shown_as_text_and_cannot_be_changed(admin_client: Client) -> None:
    url = store("doc", text_update("Hello <script>"))
    page = get(admin_client, url)
    assert "Hello &lt;script&gt;" in page
    assert '<input type="submit"' not in page
    assert admin_client.post(url, {"name": "other"}).status_code == 403
    assert get(admin_client, f"{LIST}add/", status=403)


def test_a_long_document_is_cut_off(admin_client: Client) -> None:
    page = get(admin_client, store("doc", text_update("\u00e4" * (SHOWN + 1))))
    assert page.count("\u00e4") == SHOWN
    assert "\u00e4\n...</pre>" in page


def test_a_corrupt_document_is_shown_as_such(admin_client: Client) -> None:
    page = get(admin_client, store("doc", b"\xff\xff"))
    assert "pycrdt cannot read" in page


def test_a_document_that_is_deleted_while_it_is_shown(admin_client: Client) -> None:
    document = Document(name="gone")
    assert "<pre" in DocumentAdmin(Document, admin.site).content(document)


def test_deleting_goes_through_one_method(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store("doc", text_update("Hello"), text_update("Hello"))
    with CaptureQueriesContext(connection) as queries:
        page = get(admin_client, url.replace("change", "delete"))
    assert "doc" in page and "<li>Documents: 1</li>" in page
    read = [query["sql"] for query in queries if '"data"' in query["sql"]]
    assert all('"data")' in sql for sql in read)
    deleted: list[str] = []
    # A project's admin, or another app's, may know of live documents.
    registered = type(admin.site._registry[Document])
    original = registered.delete_document  # type: ignore[attr-defined]

    def delete_document(self: DocumentAdmin, document: Document) -> None:
        deleted.append(document.name)
        original(self, document)

    monkeypatch.setattr(registered, "delete_document", delete_document)
    assert admin_client.post(url.replace("change", "delete"), {"post": "yes"}).status_code == 302
    assert deleted == ["doc"]
    assert not Document.objects.exists()


def test_nothing_deletes_rows_in_bulk(admin_client: Client) -> None:
    store("doc", b"")
    data = {"action": "delete_selected", "_selected_action": Document.objects.get().pk}
    admin_client.post(LIST, {**data, "post": "yes"})
    assert Document.objects.exists()


def test_a_user_who_may_only_view_may_not_delete(client: Client) -> None:
    url = store("doc", text_update("Hello"))
    user = User.objects.create(username="user", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_document"))
    client.force_login(user)
    assert "Hello" in get(client, url)
    assert get(client, url.replace("change", "delete"), status=403)


def test_without_a_subclass_the_document_is_deleted_in_the_storage() -> None:
    store("doc", b"")
    DocumentAdmin(Document, admin.site).delete_document(Document.objects.get())
    assert not Document.objects.exists()
