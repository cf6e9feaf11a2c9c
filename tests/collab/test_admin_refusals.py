"""The admin's page of refused changes: what was refused, of whom, why; apply or discard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pycrdt import Doc, Text, XmlElement, XmlFragment

from collab import documents
from collab.admin.rendering import admin_link, changes_html, content_html
from collab.editor.rows.formats import FORMATS
from collab.testing import deliver_changes
from collab_storage.admin import SHOWN
from collab_storage.models import Document, RefusedState
from collab_storage.updates import EMPTY_UPDATE, merge
from tests.projects.documents import calls, text_of


@pytest.fixture(autouse=True)
def _forget_calls() -> Iterator[None]:
    yield
    calls.clear()


pytestmark = pytest.mark.django_db(transaction=True)

DOC = "validated/doc"
LIST = "/admin/collab_storage/refusedstate/"


def write(text: str, at: int = 0, name: str = DOC, user: Any = None) -> None:
    with documents.edit(name, user=user) as doc:
        doc.get("text", type=Text).insert(at, text)
    deliver_changes()


def refuse(name: str = DOC, user: Any = None) -> str:
    """Make the type of a document refuse a change; return the address of its page."""
    write("good <b>end</b>", name=name)
    write("bad <i>", 5, name, user)
    return f"{LIST}{RefusedState.objects.get(name=name).pk}/change/"


def log_in(client: Client, name: str, *permissions: str) -> User:
    """Log a user in who has the permissions, or all of them."""
    user = User.objects.create(username=name, is_staff=True, is_superuser=not permissions)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return user


def get(client: Client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status
    return answer.content.decode()


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def test_the_page_shows_what_was_refused_of_whom_and_why(client: Client) -> None:
    log_in(client, "moderator")
    page = get(client, refuse(user=User.objects.create(username="ann <u>")))
    assert "good <ins>bad &lt;i&gt;</ins>&lt;b&gt;end&lt;/b&gt;" in page
    assert "good bad &lt;i&gt;&lt;b&gt;end&lt;/b&gt;" in page
    assert "ann &lt;u&gt;" in page and "Do not write bad words." in page
    document = Document.objects.get(name=DOC)
    assert f'<a href="/admin/collab_storage/document/{document.pk}/change/">{DOC}</a>' in page
    assert "Apply these changes after all" in page


def test_the_list_is_searched_by_name_and_reason_and_filtered(client: Client) -> None:
    log_in(client, "moderator")
    refuse()
    write("bad", name="validated/strict")
    assert get(client, LIST).count("Do not write bad words.") == 2
    assert "validated/strict" not in get(client, f"{LIST}?q=/doc")
    assert "validated/strict" in get(client, f"{LIST}?q=Do not write")
    assert "validated/strict" not in get(client, f"{LIST}?is_set_back__exact=1")


def test_the_list_asks_for_the_names_of_all_authors_at_once(
    client: Client,
) -> None:
    log_in(client, "moderator")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page = get(client, LIST)
        assert all(user.username in page for user in authors)
        return len(captured)

    authors = [User.objects.create(username=f"author {number}") for number in range(5)]
    for number, author in enumerate(authors):
        refuse(f"validated/{number}", author)
    before = queries()
    RefusedState.objects.exclude(name="validated/0").delete()
    authors[1:] = []
    assert queries() == before


def test_the_page_of_a_document_links_to_its_refused_changes(client: Client) -> None:
    log_in(client, "moderator")
    refuse()
    refuse("validated/other")
    document = Document.objects.get(name=DOC)
    page = get(client, f"/admin/collab_storage/document/{document.pk}/change/")
    url = f"{LIST}?name__exact=validated%2Fdoc"
    assert f'<a href="{url}">1</a>' in page
    listed = get(client, url)
    assert ">validated/doc</a>" in listed and "validated/other" not in listed


def test_a_moderator_applies_a_change_on_its_page(client: Client) -> None:
    log_in(client, "moderator")
    url = refuse()
    answer = client.post(url, {"_apply": "1"}, follow=True)
    assert said(answer) == f"The changes of {DOC} are applied."
    assert text_of(documents.read(DOC)) == "good bad <i><b>end</b>"
    assert not RefusedState.objects.exists()
    # The page is open in another tab.
    assert client.post(url, {"_apply": "1"}).status_code == 302


def test_a_change_that_is_still_refused_stays(client: Client) -> None:
    log_in(client, "root")
    url = refuse()
    answer = client.post(url, {"_apply": "1"}, follow=True)
    assert said(answer) == f"{DOC} still refuses the changes: Do not write bad words."
    assert answer.redirect_chain == [(url, 302)]
    assert RefusedState.objects.exists()


def test_selected_changes_are_applied_and_others_discarded(client: Client) -> None:
    log_in(client, "moderator")
    refuse()
    refuse("validated/gone")
    documents.delete("validated/gone")
    write("bad", name="validated/strict")
    ids = list(RefusedState.objects.values_list("pk", flat=True))
    chosen = {"action": "apply_selected", "_selected_action": ids}
    words = said(client.post(LIST, chosen, follow=True))
    assert f"The changes of {DOC} are applied." in words
    assert "There is no document validated/gone any more." in words
    assert "You may not apply the changes of validated/strict." in words
    discarded = {"action": "delete_selected", "_selected_action": ids, "post": "yes"}
    client.post(LIST, discarded)
    assert not RefusedState.objects.exists()


def test_a_user_who_may_only_look_decides_nothing(client: Client) -> None:
    log_in(client, "moderator", "view_refusedstate")
    url = refuse()
    page = get(client, url)
    assert "bad &lt;i&gt;" in page and "Apply these changes" not in page
    assert client.post(url, {"_apply": "1"}).status_code == 403
    client.post(LIST, {"action": "apply_selected", "_selected_action": [1]})
    assert RefusedState.objects.exists()


def test_without_permission_there_is_no_page(client: Client) -> None:
    log_in(client, "moderator", "view_document")
    url = refuse()
    assert get(client, url, 403) and get(client, LIST, 403)


def test_the_type_decides_about_content_and_applying_as_everywhere(client: Client) -> None:
    log_in(client, "moderator")
    readable, hidden = refuse("validated/public"), refuse("validated/private")
    page = get(client, readable)
    assert "bad &lt;i&gt;" in page and "Apply these changes" not in page
    assert client.post(readable, {"_apply": "1"}).status_code == 403
    page = get(client, hidden)
    assert "bad &lt;i&gt;" not in page and page.count("You may not read this document.") == 2
    document = Document.objects.get(name="validated/private")
    page = get(client, f"/admin/collab_storage/document/{document.pk}/change/")
    assert "You may not read this document." in page and "good" not in page


def test_a_change_that_was_not_set_back_and_a_deleted_document_are_shown(client: Client) -> None:
    log_in(client, "moderator")
    write("bad", name="validated/strict")
    documents.delete("validated/strict")
    page = get(client, f"{LIST}{RefusedState.objects.get().pk}/change/")
    assert "The document was not set back." in page and "<a href" in page
    assert ">validated/strict</div>" in page and "Apply these changes" not in page


# Rendering.

ARTICLE = "texts.article/1"


def state_of(body: str, summary: str = "short <b>") -> bytes:
    """Return a document of two fields, of which the first is rich."""
    return merge([FORMATS["rich"].make("body", body), FORMATS["plain"].make("summary", summary)])


def test_each_field_is_rendered_by_its_schema() -> None:
    html = content_html(ARTICLE, state_of("<h2>One</h2><p><em>two</em><script>x</script></p>"))
    assert html is not None
    assert "<h3>body</h3><div><h2>One</h2><p><em>two</em></p></div>" in html
    assert "<h3>summary</h3><div><p>short &lt;b&gt;</p></div>" in html


def test_refused_content_is_rendered_as_its_type_says(client: Client) -> None:
    log_in(client, "root")
    refused = RefusedState.objects.create(
        name="archived/a",
        at=timezone.now(),
        reasons="Too short.",
        state=FORMATS["plain"].make("text", "words"),
        is_set_back=False,
    )
    page = get(client, f"{LIST}{refused.pk}/change/")
    assert "<div><p>words</p></div>" in page


def test_long_and_unreadable_content_is_not_rendered() -> None:
    assert content_html(ARTICLE, state_of("<p>x</p>", "y" * SHOWN)) is None
    doc, node = Doc[Any](), XmlElement("deep")
    for _ in range(200):
        node = XmlElement("blockquote", contents=[node])
    doc.get("body", type=XmlFragment).children.append(node)
    assert content_html(ARTICLE, doc.get_update()) is None
    assert "blockquote" in changes_html(ARTICLE, EMPTY_UPDATE, doc.get_update())


def test_content_of_one_root_has_no_headline() -> None:
    state = FORMATS["plain"].make("text", "words")
    assert content_html("archived/a", state) == "<div><p>words</p></div>"
    assert changes_html("archived/a", EMPTY_UPDATE, state) == (
        '<pre style="white-space: pre-wrap"><ins>words\n</ins></pre>'
    )


def test_a_page_that_a_project_does_not_have_is_not_linked() -> None:
    assert admin_link("nothing", "<b>") == "&lt;b&gt;"


def test_far_from_changes_the_text_is_left_out() -> None:
    middle = " ".join(f"word{number}" for number in range(500))
    before = state_of(f"<p>start {middle} end</p>")
    after = state_of(f"<p>first {middle} last</p>")
    html = changes_html(ARTICLE, before, after)
    assert "<del>end</del><ins>last</ins>" in html and "\N{HORIZONTAL ELLIPSIS}" in html
    assert len(html) < 1_000
    assert "Nothing that can be shown" in changes_html(ARTICLE, before, before)
    long = changes_html(ARTICLE, state_of("<p>x</p>"), state_of(f"<p>{'y' * SHOWN}</p>"))
    assert long == "<p>The changes are too long to be shown.</p>"
