"""Rows in another database than the documents, as a router of the project has it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from collab import documents
from collab.editor import document_name
from collab.testing import deliver_changes
from collab_storage.models import Document
from tests.mirror.writers.pages import form_data
from tests.texts.models import Article

pytestmark = pytest.mark.django_db(databases=["default", "postgres"])


class Router:
    """Keeps the app with the texts in a database of its own."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "postgres" if model._meta.app_label == "texts" else None

    db_for_write = db_for_read


@pytest.fixture(autouse=True)
def router(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Router()]


def type_into(row: Any, text: str) -> None:
    documents.replace(document_name(row), text=text, schema="plain", field="summary")


def text_of(row: Any) -> str:
    return documents.text(document_name(row), schema="plain", field="summary")


def test_columns_follow_documents_and_documents_follow_rows() -> None:
    article = Article.objects.create(title="A", summary="one")
    assert Article.objects.using("postgres").get() == article
    type_into(article, "one and more")
    deliver_changes()
    article.refresh_from_db()
    assert article.summary == "one and more"
    article.summary = "ONE and more"
    article.save()
    assert text_of(article) == article.summary == "ONE and more"
    assert Document.objects.using("default").count() == 1
    article.delete()
    assert not Document.objects.using("default").exists()


def test_a_form_leaves_alone_what_others_did() -> None:
    article = Article.objects.create(title="A", note="one\ntwo")
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    path = f"/admin/texts/article/{article.pk}/change/"
    page = client.get(path).content.decode()
    type_into(article, "typed")
    Article.objects.update(note="one\ntwo, too", views=7)
    answer = client.post(path, form_data(page, title="B", note="ONE\ntwo"))
    assert answer.status_code == 302
    article.refresh_from_db()
    assert (article.title, article.note, article.views) == ("B", "ONE\ntwo, too", 7)
    assert text_of(article) == "typed"


def test_after_a_rollback_of_the_other_database_the_column_follows_the_document() -> None:
    article = Article.objects.create(title="A", summary="one")
    with pytest.raises(ZeroDivisionError), transaction.atomic("postgres"):
        article.summary = "two"
        article.save()
        raise ZeroDivisionError
    article.refresh_from_db()
    assert article.summary == "one"
    # The document is no part of that transaction.
    deliver_changes()
    article.refresh_from_db()
    assert article.summary == text_of(article) == "two"
