"""A text of a row and its document are one."""

from __future__ import annotations

import copy
import pickle
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core import serializers
from django.core.management import call_command
from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.test.utils import isolate_apps
from django.utils import timezone
from pycrdt import Doc, Text

from collab import documents
from collab.documents.policy import ensure_seeded
from collab.editor import CollaborativeTextField, document_name
from collab.editor.document_types import document_type_of, fill
from collab.testing import deliver_changes
from collab_storage.models import Document
from tests.texts.models import Article, ArticleProxy, Entry, Leaflet, Review

pytestmark = pytest.mark.django_db


def write(row: Any, field: str, text: str) -> None:
    """Type a text, as a person does whose browser has the document open."""
    column = row._meta.get_field(field)
    name = document_name(row, column.model)
    content: dict[str, Any] = {column.format.format_of(text): text}
    documents.replace(name, **content, schema=column.format.schema, field=field)


def read(row: Any, field: str) -> str:
    column = row._meta.get_field(field)
    name = document_name(row, column.model)
    return documents.text(name, schema=column.format.schema, field=field)


def opened(row: Any, field: str = "body") -> None:
    """Open the document of a row, and change something in it."""
    name = document_name(row, row._meta.get_field(field).model)
    async_to_sync(ensure_seeded)(name)


# From the document to the column.


def test_a_column_holds_no_character_that_databases_refuse() -> None:
    article = Article.objects.create()
    for field in ("body", "summary"):
        write(article, field, "one two")
        column: Any = article._meta.get_field(field)
        name, schema = document_name(article), column.format.schema
        documents.edit_text(name, "one", "\0one\0", schema=schema, field=field)
    deliver_changes()
    article.refresh_from_db()
    assert (article.body, article.summary) == ("<p>one two</p>", "one two")


def test_the_column_holds_what_people_have_typed() -> None:
    article = Article.objects.create(title="A")
    write(article, "body", "one\n\ntwo")
    write(article, "summary", "both")
    Article.objects.update(title="B", views=3)
    deliver_changes()
    article.refresh_from_db()
    assert article.body == "<p>one</p><p>two</p>"
    assert (article.summary, article.title, article.views) == ("both", "B", 3)
    assert Article.objects.filter(body__contains="two").exists()


def test_fields_of_a_row_share_a_document() -> None:
    article = Article.objects.create(body="<p>one</p>", summary="two")
    opened(article)
    assert [document.name for document in Document.objects.all()] == [f"texts.article/{article.pk}"]
    assert (read(article, "body"), read(article, "summary")) == ("one", "two")


def test_a_column_whose_root_the_document_never_had_keeps_its_text() -> None:
    article = Article.objects.create(title="A", body="<p>one</p>")
    write(article, "body", "two")
    # As that of a field which was renamed, or had been a plain text until now.
    Article.objects.update(summary="mine")
    deliver_changes()
    article.refresh_from_db()
    assert (article.body, article.summary) == ("<p>two</p>", "mine")
    assert read(article, "summary") == "mine"
    write(article, "summary", "")
    deliver_changes()
    article.refresh_from_db()
    assert (article.body, article.summary) == ("<p>two</p>", "")


def test_a_field_that_is_added_is_in_documents_as_soon_as_they_are_used() -> None:
    article = Article.objects.create(title="A", body="<p>old</p>", summary="mine")
    column: Any = Article._meta.get_field("body")
    now, stored = timezone.now(), column.format.make("body", "<p>stored</p>")
    name = document_name(article)
    Document.objects.create(name=name, snapshot=stored, created_at=now, updated_at=now)
    write(article, "body", "typed")
    assert (read(article, "body"), read(article, "summary")) == ("typed", "mine")
    assert (document_type_of(Article).version, document_type_of(Entry).version) == (2, None)


def test_a_root_that_another_user_has_written_by_then_is_left_alone() -> None:
    doc: Doc[Any] = Doc()
    doc.get("summary", type=Text).insert(0, "typed")
    column: Any = Article._meta.get_field("summary")
    fill(doc, {"summary": column.format.make("summary", "mine")})
    assert str(doc.get("summary", type=Text)) == "typed"


def test_a_change_of_a_row_that_is_gone_changes_nothing() -> None:
    article = Article.objects.create()
    write(article, "summary", "x")
    Article.objects.filter(pk=article.pk)._raw_delete("default")
    deliver_changes()
    assert not Article.objects.exists()


# From the row to the document.


def test_a_new_row_has_no_document_until_it_is_opened() -> None:
    article = Article.objects.create(body="<p>one</p>")
    assert not documents.exists(document_name(article))
    opened(article)
    assert read(article, "body") == "one"


def test_html_of_a_new_row_is_made_safe() -> None:
    article = Article.objects.create(body="<p onclick=x()>a<script>b()</script></p>")
    assert article.body == "<p>a</p>"
    Article.objects.bulk_create([Article(body="<em onclick=y()>c</em>", title="bulk")])
    assert Article.objects.get(title="bulk").body == "<p><em>c</em></p>"


def test_a_rich_text_without_tags_is_plain_text() -> None:
    article = Article.objects.create(body="1 < 2 & 3\n\nnext")
    assert article.body == "<p>1 &lt; 2 &amp; 3</p><p>next</p>"


def test_an_assigned_text_is_the_smallest_edit() -> None:
    article = Article.objects.create(body="<p>one</p><p>two</p>")
    opened(article)
    before = documents.read(document_name(article)).get_update()
    article.body = "<p>one</p><p>two!</p>"
    article.save()
    assert read(article, "body") == "one\n\ntwo!"
    after = documents.read(document_name(article)).get_update()
    assert len(after) - len(before) < 40
    article.refresh_from_db()
    assert article.body == "<p>one</p><p>two!</p>"


def test_text_that_others_typed_since_an_instance_was_loaded_stays() -> None:
    article = Article.objects.create(body="<p>one</p><p>two</p>", summary="red green blue")
    stale = Article.objects.get()
    write(article, "body", "one more\n\ntwo")
    write(article, "summary", "dark red green blue")
    stale.body = "<p>one</p><p>two too</p>"
    stale.summary = "red green light blue"
    stale.save()
    assert read(article, "body") == "one more\n\ntwo too"
    assert read(article, "summary") == "dark red green light blue"
    assert stale.body == "<p>one more</p><p>two too</p>"
    stale.refresh_from_db()
    assert stale.summary == "dark red green light blue"


def test_a_stale_instance_that_assigns_nothing_takes_nothing_back() -> None:
    article = Article.objects.create(body="<p>one</p>", summary="x")
    stale = Article.objects.get()
    write(article, "summary", "typed")
    deliver_changes()
    stale.title = "B"
    stale.save()
    article.refresh_from_db()
    assert (article.title, article.summary, article.body) == ("B", "typed", "<p>one</p>")
    assert read(article, "summary") == "typed"


def test_an_assignment_of_the_same_value_is_none() -> None:
    article = Article.objects.create(summary="x")
    stale = Article.objects.get()
    write(article, "summary", "typed")
    stale.summary = "x"
    stale.save()
    assert read(article, "summary") == "typed"


def test_saving_again_does_not_repeat_an_edit() -> None:
    article = Article.objects.create(summary="x")
    for number in range(5):
        article.summary += str(number)
        article.save()
    write(article, "summary", "new x01234")
    article.save()
    article.save(update_fields=["summary"])
    assert read(article, "summary") == "new x01234"


def test_only_fields_that_are_saved_are_written() -> None:
    article = Article.objects.create(summary="x", body="<p>x</p>")
    article.summary, article.body = "y", "<p>y</p>"
    article.save(update_fields=["summary"])
    article.save(update_fields=["title"])
    assert read(article, "summary") == "y"
    assert read(article, "body") == "x"
    article.save()
    assert read(article, "body") == "y"


def test_an_edit_is_part_of_the_transaction() -> None:
    article = Article.objects.create(summary="x")
    opened(article)
    with pytest.raises(RuntimeError), transaction.atomic():
        article.summary = "y"
        article.save()
        raise RuntimeError
    assert read(article, "summary") == "x"


def test_a_text_that_is_emptied_or_null_is_empty() -> None:
    entry = Entry.objects.create(word="a", text="x")
    opened(entry, "text")
    entry.text = None
    entry.save()
    assert read(entry, "text") == ""
    entry.refresh_from_db()
    assert entry.text is None
    article = Article.objects.create(body="<p>x</p>")
    opened(article)
    article.body = ""
    article.save()
    assert read(article, "body") == ""
    deliver_changes()
    assert article.body == Article.objects.get().body == ""


def test_an_expression_is_written_into_the_document() -> None:
    article = Article.objects.create(summary="x")
    opened(article)
    article.summary = Concat(F("summary"), Value("y"))
    article.save()
    article.refresh_from_db()
    assert article.summary == read(article, "summary") == "xy"
    article.body = Concat(F("body"), Value("<b>x</b>"))
    article.save()
    article.refresh_from_db()
    assert article.body == "<p><strong>x</strong></p>"


def test_a_text_of_a_row_without_a_document_is_assigned() -> None:
    article = Article.objects.create()
    article.summary = "x"
    article.save()
    assert read(article, "summary") == "x"
    # One whose document holds nothing but that text.
    entry = Entry.objects.create(word="a")
    entry.text = "x"
    entry.save()
    assert read(entry, "text") == "x"


# Loading.


def test_values_that_are_loaded_again_are_no_assignments() -> None:
    article = Article.objects.create(summary="x")
    stale = Article.objects.get()
    write(article, "summary", "typed")
    deliver_changes()
    stale.summary = "dropped"
    stale.refresh_from_db()
    write(article, "summary", "typed on")
    stale.save()
    assert read(article, "summary") == "typed on"


def test_deferred_texts_are_loaded_and_assigned() -> None:
    article = Article.objects.create(summary="x", body="<p>b</p>")
    stale = Article.objects.defer("summary", "body").get()
    stale.summary = "y"
    stale.title = "B"
    stale.save()
    assert read(article, "summary") == "y"
    assert stale.body == "<p>b</p>"
    write(article, "body", "typed")
    stale.save()
    assert read(article, "body") == "typed"
    only = Article.objects.only("title").get()
    only.title = "C"
    only.save()
    assert read(article, "summary") == "y"


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda row: pickle.loads(pickle.dumps(row))]
)
def test_a_copy_of_an_instance_has_assignments_of_its_own(copied: Any) -> None:
    article = Article.objects.create(summary="x")
    other = copied(article)
    other.summary = "y"
    article.save()
    other.save()
    assert read(article, "summary") == "y"


# Keys and inheritance.


def test_a_copied_row_has_a_copy_of_the_texts() -> None:
    article = Article.objects.create(summary="x", title="A")
    opened(article)
    key = article.pk
    article.pk = None
    article.save()
    assert article.pk != key
    opened(article)
    write(article, "summary", "y")
    assert read(Article.objects.get(pk=key), "summary") == "x"


def test_an_instance_with_another_key_is_another_row() -> None:
    first, second = (Article.objects.create(summary=text) for text in ("x", "y"))
    for each in (first, second):
        opened(each)
    first.pk = second.pk
    first.save()
    assert read(second, "summary") == "x"
    first.pk += 1
    first.save()
    assert Article.objects.count() == 3
    assert Article.objects.get(pk=first.pk).summary == "x"


def test_a_row_that_is_written_over_has_the_new_texts() -> None:
    article = Article.objects.create(summary="x", body="<p>x</p>")
    opened(article)
    Article(pk=article.pk, summary="y", body="<b>z</b>").save()
    assert (read(article, "summary"), read(article, "body")) == ("y", "z")
    article.refresh_from_db()
    assert article.body == "<p><strong>z</strong></p>"


def test_a_deleted_row_has_no_document() -> None:
    rows = [Article.objects.create(summary="x") for _ in range(3)]
    for row in rows:
        opened(row)
    rows[0].delete()
    ArticleProxy.objects.get(pk=rows[1].pk).delete()
    assert Document.objects.count() == 1
    Article.objects.all().delete()
    assert not Document.objects.exists()


def test_a_document_that_was_left_is_none_of_a_new_row() -> None:
    documents.replace("texts.article/5", text="secret", schema="plain", field="summary")
    article = Article.objects.create(pk=5, summary="mine")
    opened(article)
    assert read(article, "summary") == "mine"


def test_rows_of_two_tables_have_two_documents() -> None:
    review = Review.objects.create(summary="x", verdict="*good*")
    assert document_name(review) == f"texts.review/{review.pk}"
    assert document_name(review, Article) == f"texts.article/{review.pk}"
    write(review, "summary", "typed")
    write(review, "verdict", "**bad**")
    deliver_changes()
    review.save()
    review.refresh_from_db()
    assert (review.summary, review.verdict) == ("typed", "**bad**")
    review.summary, review.verdict = "a", "b"
    review.save()
    assert (read(review, "summary"), read(review, "verdict")) == ("a", "b")
    review.delete()
    assert not Document.objects.exists()


def test_a_row_of_a_child_made_of_its_parents_row_keeps_the_document() -> None:
    article = Article.objects.create(summary="x")
    opened(article)
    write(article, "summary", "typed")
    review = Review(article_ptr=article)
    review.__dict__.update(article.__dict__)
    review.save()
    assert read(article, "summary") == "typed"


def test_a_proxy_has_the_documents_of_its_model() -> None:
    proxy = ArticleProxy.objects.create(summary="x")
    proxy.summary = "y"
    proxy.save()
    assert document_name(proxy) == f"texts.article/{proxy.pk}"
    assert read(Article.objects.get(), "summary") == "y"


@pytest.mark.parametrize("word", ["a", "a/b c", "007", "ä%"])
def test_texts_are_keys(word: str) -> None:
    entry = Entry.objects.create(word=word, text="x")
    write(entry, "text", "y")
    deliver_changes()
    entry.refresh_from_db()
    assert entry.text == "y"
    assert document_name(entry) == f"texts.entry/{word}"


def test_uuids_are_keys_and_names_the_projects_own() -> None:
    leaflet = Leaflet.objects.create(id=uuid4(), text="x = 1")
    assert document_name(leaflet) == f"leaflets/{leaflet.pk}"
    leaflet.text = "x = 2"
    leaflet.save()
    assert read(leaflet, "text") == "x = 2"
    leaflet.pk = None
    leaflet.save()
    assert Leaflet.objects.count() == 2


# Writers that pass by.


def test_in_bulk_the_columns_alone_are_written() -> None:
    article, other = (Article.objects.create(summary="x") for _ in range(2))
    opened(article)
    Article.objects.update(summary="y")
    article.refresh_from_db()
    other.refresh_from_db()
    article.summary = other.summary = "z"
    Article.objects.bulk_update([article, other], ["summary"])
    assert Article.objects.filter(summary="z").count() == 2
    # A document that is not stored yet is made of the column; one that is has the last word.
    opened(other)
    assert (read(article, "summary"), read(other, "summary")) == ("x", "z")
    write(article, "body", "typed")
    deliver_changes()
    article.refresh_from_db()
    assert article.summary == "x"


def test_rows_made_in_bulk_take_nothing_back_later() -> None:
    [article] = Article.objects.bulk_create([Article(summary="x")])
    write(article, "summary", "typed")
    article.title = "B"
    article.save()
    assert read(article, "summary") == "typed"
    article.summary = "y"
    article.save()
    # Both have replaced the text.
    assert read(article, "summary") == "ytyped"


def test_fixtures_write_columns_that_documents_are_made_of(tmp_path: Any) -> None:
    article = Article.objects.create(summary="x", body="<p>b</p>")
    path = tmp_path / "articles.json"
    path.write_text(serializers.serialize("json", [article]))
    article.delete()
    call_command("loaddata", str(path), verbosity=0)
    loaded = Article.objects.get()
    opened(loaded)
    assert (read(loaded, "summary"), read(loaded, "body")) == ("x", "b")


def test_update_or_create_edits() -> None:
    article = Article.objects.create(title="A", summary="x")
    write(article, "summary", "x and more")
    Article.objects.update_or_create(title="A", defaults={"summary": "x, then"})
    assert read(article, "summary") == "x, then and more"


# Migrations.


def test_the_field_can_be_written_into_migrations() -> None:
    field = CollaborativeTextField(editor="code", language="python", null=True)
    name, path, args, kwargs = field.deconstruct()
    assert (name, path) == (None, "collab.editor.fields.CollaborativeTextField")
    assert (args, kwargs) == ([], {"editor": "code", "language": "python", "null": True})
    assert CollaborativeTextField().deconstruct()[3] == {}
    assert CollaborativeTextField(blank=False).deconstruct()[3] == {"blank": False}


@isolate_apps("tests.texts")
def test_models_of_migrations_have_plain_texts() -> None:
    class Leaf(models.Model):
        summary = CollaborativeTextField(editor="plain")

        class Meta:
            app_label = "texts"

        def __str__(self) -> str:
            return str(self.summary)

    assert Leaf(summary="x").summary == "x"
    assert not hasattr(Leaf, "_collab_is_tracked")
