"""A model form shows editors of stored rows, and takes nothing back when it is saved (I17)."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any, ClassVar

import pytest
from django import forms
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.utils.translation import override

from collab import documents
from collab.editor import document_name
from collab.editor.forms import CollaborativeTextarea, UnchangedText
from tests.texts.models import Article, Entry

pytestmark = pytest.mark.django_db

#: The texts of new rows as editors get them.
DRAFTS = re.compile(r' draft="([^"]+)"')


class ArticleForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Article
        fields: ClassVar = ["title", "body", "summary"]


def type_text(article: Article, text: str) -> None:
    documents.replace(document_name(article), text=text, schema="plain", field="summary")


def summary(article: Article) -> str:
    return documents.text(document_name(article), schema="plain", field="summary")


def test_a_new_row_is_made_of_what_is_in_the_form() -> None:
    html = str(ArticleForm())
    assert html.count("<textarea") == html.count("<collab-editor") == html.count(" draft=") == 2
    assert ' id="id_body" ' in html and ' aria-label="Body"' in html
    assert "required" not in html.partition("<collab-editor")[2].partition(">")[0]
    # There is no document to connect to, and none that images could belong to.
    tags = "".join(re.findall("<collab-editor.*?>", html))
    assert not [name for name in ("url", "name", "history-url") if f" {name}=" in tags]
    with override("de"):
        assert " strings=" in str(ArticleForm()["body"])
    form = ArticleForm({"title": "A", "body": "one\r\n\r\ntwo", "summary": "a\r\nb"})
    assert form.has_changed()
    article = form.save()
    assert (article.body, article.summary) == ("<p>one</p><p>two</p>", "a\nb")


def test_a_form_with_errors_has_the_typed_texts_in_its_editors() -> None:
    form = ArticleForm({"title": "", "body": "<p>one<script>x</script></p>", "summary": "a < b"})
    html = str(form)
    (body, summary) = DRAFTS.findall(html)
    columns: Any = (Article._meta.get_field("body"), Article._meta.get_field("summary"))
    shown = [
        column.format.render("", b64decode(draft), column.name)
        for column, draft in zip(columns, (body, summary), strict=True)
    ]
    assert shown == ["<p>one</p>", "a < b"]
    # Without JavaScript the text areas have them.
    assert "a &lt; b</textarea>" in html
    assert "<script" not in html


def test_disabled_and_hidden_fields_of_a_new_row_are_no_editors() -> None:
    form = ArticleForm()
    form.fields["body"].disabled = True
    assert "<collab-editor" not in str(form["body"])
    assert "<collab-editor" not in form["summary"].as_hidden()
    assert "<collab-editor" not in form["summary"].as_hidden(only_initial=True)


def test_a_new_row_must_have_the_texts_that_are_required() -> None:
    form = ArticleForm({"title": "A"})
    form.fields["summary"].required = True
    assert list(form.errors) == ["summary"]


def test_the_form_of_a_stored_row_has_its_editors() -> None:
    article = Article.objects.create(title="A", body="<p>one</p>", summary="a < b")
    html = str(ArticleForm(instance=article))
    assert "<textarea" not in html
    assert html.count(f'name="texts.article/{article.pk}"') == 2
    assert 'field="body"' in html and 'field="summary"' in html
    assert "<p>one</p>" in html and "a &lt; b" in html
    assert 'placeholder="In short"' in html
    assert "editor.js" in str(ArticleForm(instance=article).media)


def test_versions_are_offered_to_users_who_may_read_the_text() -> None:
    article = Article.objects.create(title="A", body="<p>one</p>")
    address = f'history-url="/history/texts.article/{article.pk}/versions/"'
    assert str(ArticleForm(instance=article)).count(address) == 1
    form: Any = ArticleForm(instance=article)
    form.collab_user = AnonymousUser()
    assert "history-url" not in str(form)


def test_html_that_was_there_before_the_field_is_shown_safely() -> None:
    article = Article.objects.create(title="A")
    Article.objects.update(body="<p>x<script>y()</script></p>")
    article.refresh_from_db()
    assert "<script>y" not in str(ArticleForm(instance=article)["body"])


def test_saving_the_form_of_a_stored_row_leaves_its_texts_alone() -> None:
    article = Article.objects.create(title="A", body="<p>one</p>", summary="x")
    stale = Article.objects.get()
    type_text(article, "typed")
    posted = {"title": "B", "body": "forged", "summary": "forged", "collab": "texts.article/77"}
    form = ArticleForm(posted, instance=stale)
    assert form.is_valid()
    assert form.changed_data == ["title"]
    assert isinstance(form.cleaned_data["summary"], UnchangedText)
    form.save()
    article.refresh_from_db()
    assert (article.title, article.body) == ("B", "<p>one</p>")
    assert summary(article) == "typed"


def test_a_text_that_the_project_cleans_is_an_edit() -> None:
    class UpperForm(ArticleForm):
        def clean_summary(self) -> str:
            return str(self.cleaned_data["summary"].upper())

    article = Article.objects.create(title="A", summary="one two")
    stale = Article.objects.get()
    type_text(article, "one two three")
    UpperForm({"title": "A"}, instance=stale).save()
    assert summary(article) == "ONE TWO three"


def test_a_disabled_field_is_an_editor_that_shows_only() -> None:
    article = Article.objects.create(title="A")
    form = ArticleForm(instance=article)
    form.fields["body"].disabled = True
    assert "readonly" in str(form["body"])
    assert "readonly" not in str(form["summary"])


def test_a_form_that_knows_its_user_shows_what_the_user_may_do() -> None:
    ann = User.objects.create_user("ann")
    article = Article.objects.create(title="A", summary="secret")
    form: Any = ArticleForm(instance=article)
    form.collab_user = ann
    assert "secret" not in str(form["summary"])
    for action, is_readonly in (("view", True), ("change", False)):
        ann.user_permissions.add(Permission.objects.get(codename=f"{action}_article"))
        form.collab_user = User.objects.get(pk=ann.pk)
        html = str(form["summary"])
        assert ("readonly" in html) is is_readonly
        assert "secret" in html
    form.collab_user = AnonymousUser()
    assert "secret" not in str(form["summary"])


def test_a_widget_of_the_projects_own_stays_if_it_is_one_of_this() -> None:
    class Tall(CollaborativeTextarea):
        pass

    column: Any = Article._meta.get_field("body")
    assert isinstance(column.formfield(widget=Tall).widget, Tall)
    assert isinstance(column.formfield(widget=Tall()).widget, Tall)
    assert type(column.formfield(widget=forms.Textarea).widget) is CollaborativeTextarea


def test_the_form_of_a_row_that_is_gone_shows_nothing() -> None:
    article = Article.objects.create(title="A", summary="secret")
    form: Any = ArticleForm(instance=article)
    form.collab_user = User.objects.create_superuser("root")
    Article.objects.all().delete()
    assert "secret" not in str(form["summary"])


def test_a_row_may_say_itself_who_opens_it() -> None:
    entry = Entry.objects.create(word="a", text="x")
    form: Any = forms.modelform_factory(Entry, fields=["text"])(instance=entry)
    form.collab_user = AnonymousUser()
    assert "readonly" in str(form)
    Entry.objects.update(is_open=True)
    assert "readonly" not in str(form)
