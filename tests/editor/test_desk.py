"""Collaborative texts in an admin site of a project's own, with everyday options of its classes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from collab import documents
from collab.editor import document_name
from tests.mirror.writers.pages import form_data
from tests.texts.models import Article, ArticleProxy, Leaflet, Remark, Section

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.editor.desk")]

#: The attributes of an editor of a text.
EDITOR = r'<collab-editor[^>]* name="{name}"[^>]*>'


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def article() -> Article:
    return Article.objects.create(title="A", body="<p>one</p>", summary="short")


def opened(client: Client, path: str) -> str:
    answer = client.get(f"/desk/texts/{path}")
    assert answer.status_code == 200
    return answer.content.decode()


def save(client: Client, path: str, data: dict[str, list[str]]) -> None:
    answer = client.post(f"/desk/texts/{path}", data)
    errors = re.findall(r'class="errorlist.*?</ul>', answer.content.decode(), re.DOTALL)
    assert (answer.status_code, errors) == (302, [])


def type_into(row: Any, field: str, text: str) -> None:
    documents.replace(document_name(row), text=text, schema="plain", field=field)


def text_of(row: Any, field: str) -> str:
    return documents.text(document_name(row), schema="plain", field=field)


def editors(page: str, row: Any) -> list[str]:
    return re.findall(EDITOR.format(name=re.escape(document_name(row))), page)


def test_generic_inlines_are_live_and_add_rows(client: Client, article: Article) -> None:
    remark = Remark.objects.create(about=article, text="old")
    page = opened(client, f"article/{article.pk}/change/")
    assert len(editors(page, remark)) == 1
    type_into(remark, "text", "typed")
    prefix = "texts-remark-content_type-object_id"
    changes = {f"{prefix}-0-text": "forged", f"{prefix}-1-text": "new"}
    save(client, f"article/{article.pk}/change/", form_data(page, **changes))
    assert text_of(remark, "text") == "typed"
    assert [each.text for each in Remark.objects.order_by("pk")][1:] == ["new"]


def test_texts_in_a_list_are_live(client: Client, article: Article) -> None:
    other = Article.objects.create(title="B", summary="other")
    page = opened(client, "article/")
    assert [len(editors(page, each)) for each in (article, other)] == [1, 1]
    type_into(other, "summary", "typed")
    data = form_data(page, **{"form-0-views": "7", "form-0-summary": "forged", "_save": "Save"})
    save(client, "article/", data)
    assert text_of(other, "summary") == "typed"
    assert sorted(Article.objects.values_list("views", flat=True)) == [0, 7]
    assert sorted(Article.objects.values_list("summary", flat=True)) == ["other", "short"]


def test_read_only_texts_are_shown_live(client: Client, article: Article) -> None:
    section = Section.objects.create(article=article, heading="H", text="inner")
    page = opened(client, f"article/{article.pk}/change/")
    body, summary = sorted(editors(page, article))
    assert ('field="body"' in body, " readonly" in body) == (True, True)
    assert ('field="summary"' in summary, " readonly" in summary) == (True, False)
    (text,) = editors(page, section)
    assert " readonly" in text
    assert "&lt;p&gt;" not in page
    changes = {"title": "B", "sections-0-heading": "I", "sections-1-heading": "J"}
    save(client, f"article/{article.pk}/change/", form_data(page, **changes))
    article.refresh_from_db()
    assert (article.title, article.body) == ("B", "<p>one</p>")
    assert [each.heading for each in Section.objects.order_by("pk")] == ["I", "J"]


def test_read_only_texts_of_a_new_row_are_empty(client: Client) -> None:
    page = opened(client, "article/add/")
    assert 'field="body"' not in page
    save(client, "article/add/", form_data(page, title="A", summary="new"))
    created = Article.objects.get()
    assert (created.body, created.summary) == ("", "new")


def test_inlines_show_texts_to_users_who_may_view_them(article: Article) -> None:
    remark = Remark.objects.create(about=article, text="old")
    user = User.objects.create_user("vera", is_staff=True)
    names = ("view_remark", "change_article", "view_article")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    (shown,) = editors(opened(client, f"article/{article.pk}/change/"), remark)
    assert " readonly" in shown


def test_relations_that_are_entered_as_keys_are_saved(client: Client, article: Article) -> None:
    section = Section.objects.create(article=article, heading="H", text="inner")
    other = Article.objects.create(title="B")
    page = opened(client, f"section/{section.pk}/change/")
    type_into(section, "text", "typed")
    save(client, f"section/{section.pk}/change/", form_data(page, article=str(other.pk)))
    section.refresh_from_db()
    assert (section.article, text_of(section, "text")) == (other, "typed")


def test_a_proxy_has_the_texts_of_its_model(client: Client, article: Article) -> None:
    page = opened(client, f"articleproxy/{article.pk}/change/")
    assert len(editors(page, article)) == 1
    save(client, f"articleproxy/{article.pk}/change/", form_data(page, title="B"))
    assert [each.title for each in ArticleProxy.objects.all()] == ["B"]


def test_rows_with_a_drawn_key_are_added(client: Client) -> None:
    page = opened(client, "leaflet/add/")
    assert " draft=" in page
    save(client, "leaflet/add/", form_data(page, text="print()"))
    leaflet = Leaflet.objects.get()
    assert leaflet.text == "print()"
    assert len(editors(opened(client, f"leaflet/{leaflet.pk}/change/"), leaflet)) == 1


def test_the_site_answers_what_others_do(client: Client, article: Article) -> None:
    answer = client.post(f"/desk/texts/article/{article.pk}/collab/", {})
    assert answer.json() == {"present": "", "changed": {}}
