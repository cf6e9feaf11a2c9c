"""Several people use a change form of the admin at the same time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.http import QueryDict
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from collab import documents
from collab.access import Access
from collab.documents.members import PresentUser
from collab.editor import document_name
from tests.mirror.writers.pages import form_data
from tests.texts.models import Article, Entry, Leaflet, Section

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    return client_of(User.objects.create_superuser("root"))


@pytest.fixture
def article() -> Article:
    return Article.objects.create(title="A", summary="short", views=1, note="n")


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(row: Any) -> str:
    return f"/admin/texts/{row._meta.model_name}/{row.pk}/change/"


def opened(client: Client, row: Any) -> str:
    page = client.get(page_of(row))
    assert page.status_code == 200
    return page.content.decode()


def save(client: Client, row: Any, data: dict[str, list[str]]) -> str:
    """Save a form; return the page with its errors, if it has any."""
    answer = client.post(page_of(row), data)
    return "" if answer.status_code == 302 else answer.content.decode()


def ask(client: Client, row: Any, data: dict[str, list[str]] | None = None) -> Any:
    answer = client.post(page_of(row).replace("/change/", "/collab/"), data or {})
    assert answer.status_code == 200
    return answer.json()


def test_texts_of_a_form_and_of_its_inlines_are_live(admin: Client, article: Article) -> None:
    section = Section.objects.create(article=article, heading="H", text="inner")
    page = opened(admin, article)
    assert page.count(f'name="texts.article/{article.pk}"') == 2
    assert page.count(f'name="texts.section/{section.pk}"') == 1
    assert "collab_admin/form.js" in page and "collab_editor/editor.js" in page
    # That of a section to be added, and the empty form of which the page makes more.
    assert page.count("<textarea") == 1 + 2


def test_a_form_that_is_saved_leaves_alone_what_others_did(admin: Client, article: Article) -> None:
    section = Section.objects.create(article=article, heading="H", text="inner")
    page = opened(admin, article)
    documents.replace(document_name(article), text="typed", schema="plain", field="summary")
    documents.replace(document_name(section), text="typed", schema="plain", field="text")
    Article.objects.update(views=7)
    changes = {"title": "B", "sections-0-heading": "I", "summary": "forged"}
    assert save(admin, article, form_data(page, **changes)) == ""
    article.refresh_from_db()
    section.refresh_from_db()
    assert (article.title, article.views, section.heading) == ("B", 7, "I")
    assert documents.text(document_name(article), schema="plain", field="summary") == "typed"
    assert documents.text(document_name(section), schema="plain", field="text") == "typed"


def test_rows_are_added_with_texts(admin: Client) -> None:
    data = {"title": "A", "body": "x", "summary": "y", "views": "0", "note": ""}
    formset = {
        "sections-TOTAL_FORMS": "1",
        "sections-INITIAL_FORMS": "0",
        "sections-0-heading": "H",
        "sections-0-text": "z",
    }
    assert admin.post("/admin/texts/article/add/", data | formset).status_code == 302
    article = Article.objects.get()
    assert (article.body, article.sections.get().text) == ("<p>x</p>", "z")


def test_a_form_says_what_others_have_changed(admin: Client, article: Article) -> None:
    page = opened(admin, article)
    assert ask(admin, article, form_data(page))["changed"] == {}
    Article.objects.update(title="Theirs", views=2)
    changed = ask(admin, article, form_data(page))["changed"]
    assert changed == {
        "title": "Another user changed this to “Theirs” while the form was open.",
        "views": "Another user changed this to “2” while the form was open.",
    }
    bob = User.objects.create_user("bob", first_name="Bob", last_name="B")
    kind = ContentType.objects.get_for_model(Article)
    LogEntry.objects.create(
        user=bob, content_type=kind, object_id=str(article.pk), action_flag=CHANGE
    )
    changed = ask(admin, article, form_data(page))["changed"]
    assert changed["title"].startswith("Bob B changed this")


def test_fields_that_both_have_changed_are_replaced_at_the_second_save(
    admin: Client, article: Article
) -> None:
    page = opened(admin, article)
    Article.objects.update(title="Theirs", views=5, note="n2")
    page = save(admin, article, form_data(page, title="Mine", views="5"))
    assert page.count("while the form was open. Save again") == 1
    assert "This was changed to “Theirs”" in page
    article.refresh_from_db()
    assert article.title == "Theirs"
    assert save(admin, article, form_data(page)) == ""
    article.refresh_from_db()
    assert (article.title, article.views, article.note) == ("Mine", 5, "n2")


def test_texts_that_are_not_live_are_merged(admin: Client, article: Article) -> None:
    Article.objects.update(note="one\ntwo\nthree")
    page = opened(admin, article)
    Article.objects.update(note="one\ntwo\nthree and more")
    assert save(admin, article, form_data(page, note="ONE\r\ntwo\r\nthree")) == ""
    article.refresh_from_db()
    assert article.note == "ONE\ntwo\nthree and more"


def test_texts_that_are_saved_at_the_same_time_are_merged(admin: Client, article: Article) -> None:
    Article.objects.update(note="one\ntwo\nthree")
    data = form_data(opened(admin, article), note="ONE\ntwo\nthree")
    request = RequestFactory().get("/")
    request.user = User.objects.get(username="root")
    form_class = site._registry[Article].get_form(request, article, change=True)
    form = form_class(QueryDict(urlencode(data, doseq=True)), instance=Article.objects.get())
    assert form.is_valid()
    # Another user saves between the check of the form and its own update.
    Article.objects.update(note="one\ntwo\nthree and more", views=9)
    with CaptureQueriesContext(connection) as queries:
        form.save()
    saved = Article.objects.get()
    assert (saved.note, saved.views) == ("ONE\ntwo\nthree and more", 9)
    is_locked = any("FOR UPDATE" in query["sql"] for query in queries)
    assert is_locked == connection.features.has_select_for_update


def test_values_of_several_inputs_are_replaced_at_the_second_time(
    admin: Client, article: Article
) -> None:
    page = opened(admin, article)
    mine = {"due_0": "2026-01-02", "due_1": "03:04:05"}
    Article.objects.update(due=datetime(2025, 1, 1, tzinfo=UTC))
    page = save(admin, article, form_data(page, **mine))
    assert "This was changed to “2025-01-01" in page
    assert save(admin, article, form_data(page)) == ""
    article.refresh_from_db()
    assert article.due is not None and article.due.year == 2026


def test_a_row_that_is_saved_as_new_has_the_texts(admin: Client, article: Article) -> None:
    page = opened(admin, article)
    data = form_data(page, _saveasnew="1", title="Copy")
    assert save(admin, article, data) == ""
    copied = Article.objects.get(title="Copy")
    assert (copied.summary, Article.objects.count()) == ("short", 2)


def test_a_form_says_who_else_is_here(
    admin: Client, article: Article, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, ann, bob = (
        User.objects.get(),
        *(User.objects.create_user(name) for name in ("ann", "bob")),
    )
    assert ask(admin, article)["present"] == ""
    present = [
        PresentUser(key, Access.WRITE, (), 1, None)
        # One has a key that the project's users do not have.
        for key in (str(root.pk), str(ann.pk), "service-1", None)
    ]
    monkeypatch.setattr(documents, "present", lambda name: present)
    assert ask(admin, article)["present"] == "ann is here, too."
    present.append(PresentUser(str(bob.pk), Access.READ, (), 1, None))
    assert ask(admin, article)["present"] == "ann and bob are here, too."


def test_users_who_may_only_view_a_row_see_it_live(article: Article) -> None:
    ann = User.objects.create_user("ann", is_staff=True)
    for name in ("view_article", "view_section"):
        ann.user_permissions.add(Permission.objects.get(codename=name))
    client = client_of(ann)
    page = opened(client, article)
    assert page.count("readonly") >= 2
    assert page.count(f'name="texts.article/{article.pk}"') == 2
    assert ask(client, article, {"initial-title": ["x"]})["changed"] == {}
    assert client.post(page_of(article), {"title": "B", "summary": "C"}).status_code == 403
    article.refresh_from_db()
    assert (article.title, article.summary) == ("A", "short")


def test_others_learn_nothing_of_a_row(article: Article) -> None:
    url = page_of(article).replace("/change/", "/collab/")
    assert client_of(User.objects.create_user("ann", is_staff=True)).post(url).status_code == 403
    assert client_of(User.objects.create_user("bob")).post(url).status_code == 302


def test_there_is_nothing_to_say_of_a_row_that_is_gone(admin: Client) -> None:
    assert admin.post("/admin/texts/article/7/collab/").status_code == 404


def test_keys_that_are_texts_have_addresses(admin: Client) -> None:
    entry = Entry.objects.create(word="a_b", text="x")
    assert admin.post("/admin/texts/entry/a_5Fb/collab/").json()["present"] == ""
    assert (
        f'name="texts.entry/{entry.pk}"'
        in admin.get("/admin/texts/entry/a_5Fb/change/").content.decode()
    )


def test_a_plain_admin_class_has_live_texts(admin: Client) -> None:
    leaflet = Leaflet.objects.create(text="x")
    assert f'name="leaflets/{leaflet.pk}"' in opened(admin, leaflet)
