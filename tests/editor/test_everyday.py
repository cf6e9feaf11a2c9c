"""Everyday uses of a model with collaborative texts: what they cost, and that documents follow."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.forms import inlineformset_factory, modelform_factory
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.serializers import ModelSerializer

from collab import documents
from collab.editor import document_name
from collab_storage.models import Document
from tests.texts.models import Article, Section

pytestmark = pytest.mark.django_db

LIST = "/admin/texts/article/"


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def article() -> Article:
    """A row with a document."""
    article = Article.objects.create(title="A", summary="old")
    type_into(article, "typed")
    return article


def type_into(article: Article, text: str) -> None:
    documents.replace(document_name(article), text=text, schema="plain", field="summary")


def summary_of(article: Article) -> str:
    return documents.text(document_name(article), schema="plain", field="summary")


def queries_of(client: Client, url: str) -> list[str]:
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in queries]


# What it costs.


def test_a_list_of_many_rows_costs_no_more_queries_than_one_of_few(admin: Client) -> None:
    rows = (Article(title=f"Row {number}", summary="x") for number in range(10_000))
    Article.objects.create(title="First", summary="x")
    few = queries_of(admin, LIST)
    Article.objects.bulk_create(rows)
    many = queries_of(admin, LIST)
    assert len(many) == len(few)
    assert not any("collab_storage" in sql for sql in many)


def test_documents_are_made_when_rows_are_opened_by_people_not_by_pages(admin: Client) -> None:
    article = Article.objects.create(title="A", summary="x")
    sql = queries_of(admin, f"{LIST}{article.pk}/change/")
    assert sum("collab_storage" in query for query in sql) == 0
    assert not Document.objects.exists()


@pytest.mark.parametrize("fields", [None, ["title"]])
def test_saving_other_fields_is_one_query(article: Article, fields: list[str] | None) -> None:
    stored = Article.objects.get()
    stored.title = "B"
    with CaptureQueriesContext(connection) as queries:
        stored.save(update_fields=fields)
    assert len(queries) == 1
    assert summary_of(article) == "typed"


def test_loading_rows_costs_nothing_else(article: Article) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert [row.summary for row in Article.objects.select_related().all()] == ["old"]
        assert Section.objects.select_related("article").count() == 0
    assert len(queries) == 2


# Documents follow.


def test_an_action_that_deletes_rows_deletes_their_documents(
    admin: Client, article: Article
) -> None:
    chosen = {"action": "delete_selected", "_selected_action": [article.pk], "post": "yes"}
    assert admin.post(LIST, chosen).status_code == 302
    assert not Article.objects.exists() and not Document.objects.exists()


def test_a_row_that_is_deleted_with_its_parent_leaves_no_document(article: Article) -> None:
    section = Section.objects.create(article=article, heading="H", text="x")
    documents.replace(document_name(section), text="y", schema="plain", field="text")
    article.delete()
    assert not Document.objects.exists()


def test_a_transaction_that_is_rolled_back_leaves_the_document(article: Article) -> None:
    row = Article.objects.get()
    row.summary = "lost"
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        row.save()
        raise ZeroDivisionError
    assert summary_of(article) == "typed"
    assert Article.objects.get().summary == "old"


def test_a_serializer_that_changes_another_field_takes_nothing_back(article: Article) -> None:
    class ArticleSerializer(ModelSerializer[Article]):
        class Meta:
            model = Article
            fields = ("title", "summary")

    serializer = ArticleSerializer(Article.objects.get(), {"title": "B"}, partial=True)
    assert serializer.is_valid() and serializer.data["summary"] == "old"
    serializer = ArticleSerializer(Article.objects.get(), {"title": "B"}, partial=True)
    serializer.is_valid(raise_exception=True)
    serializer.save()
    assert summary_of(article) == "typed"


def test_a_serializer_edits_what_it_was_sent(article: Article) -> None:
    class SummarySerializer(ModelSerializer[Article]):
        class Meta:
            model = Article
            fields = ("summary",)

    row = Article.objects.get()
    type_into(article, "old, and typed")
    serializer = SummarySerializer(row, {"summary": "very old"}, partial=True)
    serializer.is_valid(raise_exception=True)
    serializer.save()
    assert summary_of(article) == "very old, and typed"


def test_forms_with_prefixes_and_formsets_that_delete(article: Article) -> None:
    form = modelform_factory(Article, fields=["title", "summary"])
    filled = form({"a-title": "B", "a-summary": "forged"}, instance=article, prefix="a")
    filled.save()
    assert (Article.objects.get().title, summary_of(article)) == ("B", "typed")
    section = Section.objects.create(article=article, heading="H", text="x")
    documents.replace(document_name(section), text="y", schema="plain", field="text")
    formset = inlineformset_factory(
        Article, Section, fields=["heading", "text"], can_delete=True, can_order=True, extra=0
    )
    data = {
        "sections-TOTAL_FORMS": "1",
        "sections-INITIAL_FORMS": "1",
        "sections-0-id": str(section.pk),
        "sections-0-heading": "I",
        "sections-0-ORDER": "1",
        "sections-0-DELETE": "on",
    }
    sent = formset(data, instance=article)
    assert sent.is_valid()
    sent.save()
    assert not Section.objects.exists()
    assert [document.name for document in Document.objects.all()] == [document_name(article)]


def test_full_clean_of_a_stored_row_accepts_a_text_of_any_state(article: Article) -> None:
    article.full_clean()
    Article(title="B").full_clean()


@pytest.mark.django_db(transaction=True)
async def test_async_code_saves_rows_and_documents() -> None:
    article = await Article.objects.acreate(title="A", summary="one")
    await documents.areplace(
        document_name(article), text="one two", schema="plain", field="summary"
    )
    article.summary = "ONE"
    await article.asave()
    text = await documents.atext(document_name(article), schema="plain", field="summary")
    assert text == "ONE two"
    await article.adelete()
    assert not await documents.aexists("texts.article/1")
