"""Versions over HTTP: what each user gets, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from pycrdt import Doc, XmlElement, XmlFragment
from rest_framework.authtoken.models import Token

from collab import documents, history
from collab.access import Access, grant
from collab.testing import use_memory_storage

from .material import letters, write
from .test_automatic import storage

NAME = "archived/a"
URL = f"/history/{NAME}/versions/"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    with use_memory_storage():
        yield


def user(name: str, *, is_staff: bool = False) -> User:
    return User.objects.create(username=name, is_staff=is_staff)


def client_of(who: User | None) -> Client:
    client = Client()
    if who is not None:
        client.force_login(who)
    return client


@pytest.fixture
def staff() -> Client:
    return client_of(user("ann", is_staff=True))


def post(client: Client, url: str, body: Any = None, method: str = "post", **more: Any) -> Any:
    return getattr(client, method)(url, body or {}, content_type="application/json", **more)


def test_versions_are_made_listed_named_restored_and_deleted(staff: Client) -> None:
    write(NAME, "one")
    made = post(staff, URL, {"title": "First"})
    assert made.status_code == 201
    version = made.json()
    write(NAME, " two")
    answer = staff.get(URL).json()
    assert answer["can_restore"] and answer["versions"] == [version]
    assert answer["users"] == {version["made_by"]: "ann"}
    state: Doc[Any] = Doc()
    state.apply_update(staff.get(f"{URL}{version['id']}/state").content)
    assert letters(state) == "one"
    before = post(staff, f"{URL}{version['id']}/restore").json()
    assert before["kind"] == "restore" and before["restored_from"] == version["id"]
    assert letters(documents.read(NAME)) == "one"
    renamed = post(staff, f"{URL}{version['id']}/", {"title": "Name"}, "patch")
    assert renamed.status_code == 204
    [named] = staff.get(URL, {"named": ""}).json()["versions"]
    assert named["title"] == "Name"
    assert staff.delete(f"{URL}{version['id']}/").status_code == 204
    assert [found["id"] for found in staff.get(URL).json()["versions"]] == [before["id"]]


def test_versions_are_compared(staff: Client) -> None:
    ben, url = user("ben"), f"/history/{NAME}/diff"
    write(NAME, "one")
    first = history.create(NAME, "First")
    write(NAME, " two", ben)
    second = history.create(NAME, "Second")
    write(NAME, " <three>")
    answer = staff.get(url, {"from": first.id, "to": second.id}).json()
    [change] = answer["changes"]
    assert change["pieces"] == [
        {"kind": "kept", "text": "one"},
        {"kind": "added", "text": " two", "by": str(ben.pk)},
    ]
    assert answer["authors"] == [str(ben.pk)] and answer["users"] == {str(ben.pk): "ben"}
    assert '<ins class="collab-added author-0"> two</ins>' in answer["html"]
    html = staff.get(f"{url}?from={second.id}&format=html")
    assert html.headers["Content-Type"].startswith("text/html")
    assert "&lt;three&gt;</ins>" in html.content.decode()


def test_comparisons_that_cannot_be_made_are_refused(staff: Client) -> None:
    write(NAME, "one")
    id, url = history.create(NAME).id, f"/history/{NAME}/diff"
    for query in ("", "from=x", f"from={id}&to=", "from=-1", f"from={'9' * 5000}"):
        assert staff.get(f"{url}?{query}").status_code == 400
    for query in (f"from={id + 1}", f"from={id}&to={id + 1}", f"from={'9' * 40}"):
        assert staff.get(f"{url}?{query}").status_code == 404
    assert client_of(None).get(url, {"from": id}).status_code == 401
    with documents.edit("doc") as doc:
        parent = doc.get("default", type=XmlFragment)
        for _ in range(300):
            parent.children.append(XmlElement("blockquote"))
            parent = parent.children[0]
        deep = doc.get_update()
    with documents.edit(NAME) as doc:
        doc.apply_update(deep)
    assert staff.get(url, {"from": id}).status_code == 422


def test_authors_are_listed(staff: Client) -> None:
    ben = user("ben")
    write(NAME, "one", ben)
    answer = staff.get(f"/history/{NAME}/authors").json()
    [share] = answer["shares"]
    assert (share["user"], share["inserted"], share["deleted"]) == (str(ben.pk), 3, 0)
    [[_, start, end, author, _]] = answer["ranges"]
    assert (start, end, author) == (0, 3, str(ben.pk))
    assert answer["users"] == {str(ben.pk): "ben"}


def test_versions_that_the_type_refuses_are_not_shown() -> None:
    write(NAME, "one")
    id = history.create(NAME, "First").id
    for path in (URL, f"{URL}{id}/state", f"/history/{NAME}/authors"):
        assert client_of(None).get(path).status_code == 401
    assert post(client_of(None), f"{URL}{id}/restore").status_code == 401


def test_readers_see_and_change_nothing() -> None:
    name = "archived/read-only"
    write(name, "one")
    id = history.create(name, "First").id
    reader, url = client_of(user("ben", is_staff=True)), f"/history/{name}/versions/"
    assert not reader.get(url).json()["can_restore"]
    assert reader.get(f"{url}{id}/state").status_code == 200
    for refused in (
        post(reader, url),
        post(reader, f"{url}{id}/restore"),
        post(reader, f"{url}{id}/", {"title": "x"}, "patch"),
        reader.delete(f"{url}{id}/"),
    ):
        assert refused.status_code == 403
    assert [version.title for version in history.versions(name)] == ["First"]


def test_the_type_says_who_may_restore_and_what_is_too_old() -> None:
    write(NAME, "one")
    old = history.create(NAME, "Old")
    [kept] = storage()._documents[NAME].versions
    storage()._documents[NAME].versions[:] = [replace(kept, at=kept.at - timedelta(days=2))]
    write(NAME, " two")
    new = history.create(NAME, "New")
    ben = client_of(user("ben"))
    answer = ben.get(URL).json()
    assert [version["id"] for version in answer["versions"]] == [new.id]
    assert not answer["can_restore"] and answer["users"] == {}
    assert ben.get(f"{URL}{old.id}/state").status_code == 404
    for query in (f"from={old.id}", f"from={new.id}&to={old.id}"):
        assert ben.get(f"/history/{NAME}/diff?{query}").status_code == 404
    assert ben.get(f"/history/{NAME}/diff", {"from": new.id}).status_code == 200
    assert post(ben, f"{URL}{new.id}/restore").status_code == 403
    assert ben.get(f"/history/{NAME}/authors").json()["shares"]


def test_documents_without_a_type_are_not_found(staff: Client) -> None:
    write("plain", "one")
    assert staff.get("/history/plain/versions/").status_code == 404
    assert staff.get("/history/archived/none/authors").status_code == 404
    assert staff.get("/history/archived/none/versions/").json()["versions"] == []
    assert post(staff, "/history/archived/none/versions/").status_code == 404
    assert staff.get(f"{URL}7/state").status_code == 404


def test_a_request_of_a_session_needs_a_csrf_token() -> None:
    write(NAME, "one")
    client = Client(enforce_csrf_checks=True)
    client.force_login(user("ann", is_staff=True))
    assert post(client, URL).status_code == 403
    assert client.get(URL).status_code == 200
    client.cookies["csrftoken"] = "a" * 32
    assert post(client, URL, headers={"X-CSRFToken": "a" * 32}).status_code == 201


def test_a_token_is_enough(staff: Client) -> None:
    write(NAME, "one")
    token = Token.objects.create(user=user("tom", is_staff=True))
    client = Client(enforce_csrf_checks=True)
    assert post(client, URL, headers={"Authorization": f"Token {token}"}).status_code == 201
    assert post(client, URL, headers={"Authorization": "Bearer no"}).status_code == 401
    assert post(client, URL, headers={"Authorization": "Basic no"}).status_code == 403


def test_bodies_and_times_that_are_not_valid_are_refused(staff: Client) -> None:
    write(NAME, "one")
    assert post(staff, URL, {"title": 7}).status_code == 400
    assert post(staff, URL, {"title": "x" * 256}).status_code == 400
    for title in ("\0", "a\ud800"):
        assert post(staff, URL, {"title": title}).status_code == 400
    assert staff.post(URL, "[", content_type="application/json").status_code == 400
    assert staff.get(URL, {"before": "noon"}).status_code == 400
    assert staff.get(URL, {"before": "2026-01-01T00:00"}).status_code == 400
    for beyond in ("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"):
        assert staff.get(URL, {"before": beyond}).status_code == 400
    before = datetime.now(UTC).isoformat()
    assert staff.get(URL, {"before": before}).json()["versions"] == []


def test_a_body_that_is_nested_too_deep_is_refused(staff: Client) -> None:
    write(NAME, "one")
    answer = staff.post(URL, "[" * 100_000, content_type="application/json")
    assert answer.status_code == 400


def test_no_cache_of_the_site_keeps_answers_for_others(settings: Any) -> None:
    caching = "django.middleware.cache"
    settings.MIDDLEWARE = [
        f"{caching}.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        f"{caching}.FetchFromCacheMiddleware",
    ]
    write(NAME, "one")
    id = history.create(NAME, "Secret").id
    token = Token.objects.create(user=user("ann", is_staff=True)).key
    for path in (URL, f"{URL}{id}/state", f"/history/{NAME}/authors"):
        for headers in (
            {"Authorization": f"Token {token}"},
            {"X-Collab-Grant": grant(NAME, Access.READ, history=True)},
        ):
            assert Client().get(path, headers=headers).status_code == 200
            assert Client().get(path).status_code == 401


def test_faults_are_not_refusals(staff: Client) -> None:
    backend = "tests.history.test_automatic.PlainStorage"
    with override_settings(COLLAB={"STORAGE": {"BACKEND": backend}}):
        staff.raise_request_exception = False
        assert staff.get(URL).status_code == 500


def test_a_page_grants_the_versions_of_its_document() -> None:
    write(NAME, "one")
    anonymous = client_of(None)

    def status(token: str, method: str = "get") -> int:
        answer = post(anonymous, URL, {"title": "x"}, method, headers={"X-Collab-Grant": token})
        return int(answer.status_code)

    assert status(grant(NAME, Access.READ, history=True)) == 200
    # The type has the last word.
    assert status(grant(NAME, Access.WRITE, history=True), "post") == 401
    assert status(grant(NAME, Access.READ, history=True), "post") == 401
    for token in (grant(NAME, Access.WRITE), grant("archived/b", Access.READ, history=True), "x"):
        assert status(token) == 401


def test_a_grant_counts_if_the_type_refuses_by_an_error() -> None:
    assert Client().get("/history/archived/raising/versions/").status_code == 401
    token = grant("archived/raising", Access.READ, history=True)
    answer = Client().get("/history/archived/raising/versions/", headers={"X-Collab-Grant": token})
    assert answer.status_code == 200


def test_earlier_versions_follow(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collab.history.views._PAGE", 2)
    write(NAME, "one")
    made = [history.create(NAME, title).id for title in "abc"]
    first = staff.get(URL).json()
    assert [version["id"] for version in first["versions"]] == made[:0:-1] and first["has_more"]
    rest = staff.get(URL, {"before": first["versions"][-1]["at"]}).json()
    assert [version["id"] for version in rest["versions"]] == made[:1] and not rest["has_more"]


def test_versions_of_one_time_come_together(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collab.history.views._PAGE", 2)
    write(NAME, "one")
    state, now = documents.read(NAME).get_update(), datetime.now(UTC)
    for title, at in (("a", now), ("b", now), ("c", now + timedelta(seconds=1))):
        history.import_version(NAME, state, at, title=title)
    first = staff.get(URL).json()
    assert [version["title"] for version in first["versions"]] == ["c"] and first["has_more"]
    rest = staff.get(URL, {"before": first["versions"][-1]["at"]}).json()
    assert [version["title"] for version in rest["versions"]] == ["b", "a"]
    assert not rest["has_more"]
