"""``{% collab_editor name %}``."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.template import engines
from django.test import RequestFactory
from pycrdt import Text, XmlElement, XmlFragment

from collab import documents
from collab.access import Access, granted_access
from collab.documents import registry
from collab.exceptions import ContentError

pytestmark = pytest.mark.django_db(transaction=True)


class Shelf(documents.DocumentType):
    """Documents that a word in their name says the access to."""

    content = "tiptap"

    def authorize(self, user: Any, access: str, rest: str) -> Access:
        if access == "denied":
            raise PermissionDenied
        return Access[access.upper()]


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registrations", registry.Registry())
    documents.register("<str:access>/<str:rest>")(Shelf)


def render(tags: str, user: Any = None, **context: Any) -> str:
    request = RequestFactory().get("/")
    request.user = user or AnonymousUser()
    template = engines["django"].from_string("{% load collab_editor %}" + tags)
    return str(template.render(context, request))


def write(name: str, **content: Any) -> None:
    documents.replace(name, schema="tiptap", **content)


def test_the_text_is_there_without_javascript() -> None:
    write("write/a", html="<h1>Title</h1><p>Text &lt;b&gt;</p>")
    html = render('{% collab_editor "write/a" %}')
    assert "<h1>Title</h1><p>Text &lt;b&gt;</p>" in html
    assert " readonly" not in html
    assert " csrf-token=" in html


def test_a_page_without_a_token_against_forgery_has_none() -> None:
    write("write/a", html="<p>Text</p>")
    template = engines["django"].from_string(
        '{% load collab_editor %}{% collab_editor "write/a" %}'
    )
    html = str(template.render({"user": AnonymousUser()}))
    assert "<p>Text</p>" in html and "csrf-token" not in html


def test_readers_cannot_write_and_others_see_nothing() -> None:
    for name in ("read/a", "none/a", "denied/a"):
        write(name, html="<p>Secret</p>")
    html = render('{% collab_editor "read/a" %}')
    assert "Secret" in html and " readonly" in html
    for name in ("none/a", "denied/a"):
        assert "Secret" not in render("{% collab_editor name %}", name=name)


def test_a_grant_of_the_view_wins_over_the_policy() -> None:
    write("none/a", html="<p>Shared</p>")
    html = render('{% collab_editor "none/a" access="read" %}')
    assert "Shared" in html and " readonly" in html
    token = html.partition(' token="')[2].partition('"')[0]
    assert granted_access(token, "none/a") == Access.READ
    assert " readonly" not in render(
        "{% collab_editor 'none/a' access=write %}", write=Access.WRITE
    )


def test_versions_are_offered_to_users_who_may_read() -> None:
    for access in ("read", "write"):
        html = render("{% collab_editor name history=True %}", name=f"{access}/a")
        assert f' history-url="/history/{access}/a/versions/"' in html
    assert "history-url" not in render('{% collab_editor "none/a" history=True %}')
    granted = render('{% collab_editor "none/a" history=True access="read" %}')
    token = granted.partition(' token="')[2].partition('"')[0]
    assert granted_access(token, "none/a", history=True) == Access.READ


def test_text_is_escaped() -> None:
    with documents.edit("write/b") as doc:
        doc.get("code", type=Text).insert(0, "<script>alert(1)</script>")
    html = render('{% collab_editor "write/b" editor="code" field="code" %}')
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_a_document_that_is_new_or_has_no_type_is_empty() -> None:
    for name in ("write/new", "without-type"):
        html = render("{% collab_editor name %}", name=name)
        assert '<div class="collab-rendered"></div>' in html


def test_content_that_cannot_be_rendered_leaves_the_page_to_all_users() -> None:
    with documents.edit("write/a") as doc:
        parent = doc.get("default", type=XmlFragment)
        for _ in range(300):
            parent.children.append(XmlElement("blockquote"))
            parent = parent.children[0]
    with pytest.raises(ContentError):
        documents.html("write/a")
    html = render('{% collab_editor "write/a" %}')
    assert 'name="write/a"' in html and '<div class="collab-rendered"></div>' in html


def test_the_script_comes_once_on_a_page() -> None:
    html = render('{% for n in "12" %}{% collab_editor "write/a" %}{% endfor %}')
    assert html.count("<script") == 1
    assert html.count("<collab-editor") == 2


def test_the_user_of_the_page_has_a_name() -> None:
    html = render('{% collab_editor "write/a" %}', User(pk=1, username="ann"))
    assert ' user-name="ann"' in html
