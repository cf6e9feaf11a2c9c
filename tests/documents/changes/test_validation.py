"""A type refuses what changes have made of a document, which is set back for everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.test import Client, override_settings
from django.urls import path
from pycrdt import Array, Doc, Map, Text

from collab import documents
from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.engine.relay.messages import order
from collab.testing import CollabClient, adeliver_changes, close_rooms, connect, deliver_changes
from collab_storage.compaction import apply_stored
from collab_storage.exceptions import StorageUnavailable
from collab_storage.models import RefusedState, ValidState
from tests.engine.fakes import HinderedStorage
from tests.harness.waiting import until
from tests.projects.documents import Validated, ValidatedAsync, calls, text_of

pytestmark = pytest.mark.django_db(transaction=True)

application = URLRouter([path("ws/<path:room>", YjsConsumer.as_asgi())])
DOC = "validated/doc"


@pytest.fixture(autouse=True)
def _forget_calls() -> Iterator[None]:
    calls.clear()
    yield
    calls.clear()


@pytest.fixture
async def _closed() -> AsyncIterator[None]:
    yield
    await close_rooms()


def write(text: str, name: str = DOC, user: Any = None, at: int = 0) -> None:
    with documents.edit(name, user=user) as doc:
        doc.get("text", type=Text).insert(at, text)


def text(name: str = DOC) -> str:
    return text_of(documents.read(name))


def make_valid(content: str = "good") -> None:
    write(content)
    deliver_changes()
    calls.clear()


def test_a_valid_change_stays_and_is_delivered() -> None:
    ann = User.objects.create(username="ann")
    write("good", user=ann)
    assert deliver_changes() == 1
    assert calls == [("validate", "doc", "good", "ann"), ("changed", "doc", "good")]
    assert not RefusedState.objects.exists()


def test_an_author_whom_the_model_of_users_cannot_have_is_unknown() -> None:
    write("good", user=SimpleNamespace(pk="service-1", is_authenticated=True))
    assert deliver_changes() == 1
    assert calls == [("validate", "doc", "good", None), ("changed", "doc", "good")]


def test_a_refused_change_is_set_back_to_the_last_valid_state() -> None:
    make_valid()
    write("bad ")
    write("worse ")
    deliver_changes()
    assert text() == "good"
    assert calls[-2:] == [("validate", "doc", "good", None), ("changed", "doc", "good")]
    assert all(call[-1] == "good" for call in calls if call[0] == "changed")
    assert deliver_changes() == 0


def test_everything_that_has_changed_is_set_back_whatever_its_kind() -> None:
    with documents.edit(DOC) as doc:
        doc.get("text", type=Text).insert(0, "good words")
        doc.get("map", type=Map).update({"kept": 1, "removed": 2})
        doc.get("list", type=Array).extend([1, 2, Map({"deep": "x"})])
    deliver_changes()
    before = content(documents.read(DOC))
    with documents.edit(DOC) as doc:
        doc.get("text", type=Text)[5:10] = "bad"
        doc.get("map", type=Map)["kept"] = 5
        del doc.get("map", type=Map)["removed"]
        doc.get("map", type=Map)["added"] = 1
        del doc.get("list", type=Array)[0]
        doc.get("list", type=Array)[1]["deep"] = "y"
    deliver_changes()
    assert content(documents.read(DOC)) == before


def content(doc: Doc[Any]) -> tuple[Any, ...]:
    return (
        text_of(doc),
        doc.get("map", type=Map).to_py(),
        doc.get("list", type=Array).to_py(),
    )


def test_the_refused_state_is_kept_for_the_admin(admin_client: Client) -> None:
    ann = User.objects.create(username="ann")
    make_valid()
    write("bad ", user=ann)
    deliver_changes()
    [refused] = RefusedState.objects.all()
    assert (refused.name, refused.user_ids, refused.is_set_back) == (DOC, [str(ann.pk)], True)
    assert refused.reasons == "Do not write bad words."
    assert str(refused) == DOC
    url = "/admin/collab_storage/refusedstate/"
    assert "Do not write bad words." in admin_client.get(url).content.decode()
    page = admin_client.get(f"{url}{refused.pk}/change/").content.decode()
    assert "bad good" in page
    assert admin_client.get(f"{url}add/").status_code == 403


def test_a_reason_that_quotes_the_document_can_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    def validate(self: Validated, doc: Doc[Any], user: Any, key: str) -> None:
        if "bad" in text_of(doc):
            raise ValidationError(f"Not valid: {text_of(doc)}")

    make_valid()
    monkeypatch.setattr(Validated, "validate", validate)
    write("bad\0 ")
    deliver_changes()
    [refused] = RefusedState.objects.all()
    # PostgreSQL refuses NUL, and the document would not be set back.
    assert refused.reasons == "Not valid: bad\N{REPLACEMENT CHARACTER} good"
    assert text() == "good"


@pytest.mark.parametrize(("name", "left"), [("seeded", "seed "), ("unseeded", "")])
def test_a_new_document_that_is_refused_is_set_back_to_its_seed(name: str, left: str) -> None:
    write("bad ", f"validated/{name}")
    deliver_changes()
    assert text(f"validated/{name}") == left


def test_a_document_without_a_valid_state_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    write("bad ", "validated/strict")
    deliver_changes()
    assert text("validated/strict") == "bad "
    [refused] = RefusedState.objects.all()
    assert not refused.is_set_back
    assert "no valid state of it is known" in caplog.text


def test_a_document_from_before_its_type_validated_has_no_valid_state() -> None:
    make_valid()
    ValidState.objects.all().delete()
    write("bad ")
    deliver_changes()
    assert text() == "bad good"
    assert not RefusedState.objects.get().is_set_back


def test_a_state_that_a_newer_rule_refuses_is_no_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    make_valid("old words")

    def refuse_old(self: Validated, doc: Doc[Any], user: Any, key: str) -> None:
        if "old" in text_of(doc):
            raise ValidationError("Do not write old words.")

    monkeypatch.setattr(Validated, "validate", refuse_old)
    write("more ")
    deliver_changes()
    assert text() == "more old words"
    assert not RefusedState.objects.get().is_set_back


def test_the_valid_state_follows_a_renamed_document() -> None:
    make_valid()
    documents.rename(DOC, "validated/new")
    write("bad ", "validated/new")
    deliver_changes()
    assert text("validated/new") == "good"
    assert str(ValidState.objects.get()) == "validated/new"


def test_the_valid_state_is_gone_with_the_document() -> None:
    make_valid()
    documents.delete(DOC)
    deliver_changes()
    assert not ValidState.objects.exists()


def test_a_document_that_is_deleted_while_it_is_validated_is_not_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def delete(self: ValidatedAsync, doc: object, user: object, key: str) -> None:
        if await documents.adelete(name):
            raise ValidationError("No.")

    name = "validated/async/doc"
    write("bad", name)
    monkeypatch.setattr(ValidatedAsync, "validate", delete)
    deliver_changes()
    assert not documents.exists(name)
    deliver_changes()
    assert not documents.exists(name)
    assert not RefusedState.objects.exists()


def test_a_coroutine_function_refuses_too() -> None:
    write("x", "validated/async/a")
    deliver_changes()
    assert text("validated/async/a") == ""


def test_a_type_without_rules_costs_nothing() -> None:
    write("bad", "recorded/5")
    deliver_changes()
    assert not ValidState.objects.exists()


# With members.


def refusals(client: CollabClient) -> list[Any]:
    return [frame for frame in client.messages if frame["action"] == "document"]


async def test_authors_are_informed_and_see_the_document_set_back(_closed: None) -> None:
    ann, bob = User(pk=5, username="ann"), User(pk=6, username="bob")
    async with (
        connect(application, f"/ws/{DOC}", user=ann) as author,
        connect(application, f"/ws/{DOC}", user=bob) as other,
        connect(application, f"/ws/{DOC}", user=AnonymousUser()) as guest,
    ):
        author.doc.get("text", type=Text).insert(0, "bad")
        await author.wait_until(lambda: refusals(author))
        [frame] = refusals(author)
        assert frame["data"] == {"fields": {"text": ["Do not write bad words."]}}
        assert (frame["errors"], frame["response_status"]) == (["Do not write bad words."], 400)
        for client in (author, other, guest):
            await client.wait_until(lambda client=client: text_of(client.doc) == "")  # type: ignore[misc]
        await adeliver_changes()
        assert not refusals(other)
        # As another process would order it.
        users: list[str | None] = ["6", None]
        current_hub().handle_order(
            {**order(DOC, "inform", users=users, frame='{"action": "document", "errors": []}')}
        )
        await other.wait_until(lambda: refusals(other))
        await guest.wait_until(lambda: refusals(guest))
        assert len(refusals(author)) == 1


async def test_an_update_that_is_refused_at_once_reaches_no_member(_closed: None) -> None:
    async with (
        connect(application, f"/ws/{DOC}", user=User(pk=5)) as ann,
        connect(application, f"/ws/{DOC}", user=User(pk=6)) as bob,
    ):
        ann.doc.get("text", type=Text).insert(0, "forbidden")
        closed = await ann.wait_closed()
        assert (closed.code, closed.reason) == (1008, "This word is forbidden.")
        bob.doc.get("text", type=Text).insert(0, "allowed")
        await bob.wait_saved()
        assert text_of(await documents.aread(DOC)) == "allowed"


async def test_a_change_is_set_back_with_the_unsaved_updates_that_are_part_of_it() -> None:
    backend = {"BACKEND": "tests.engine.fakes.HinderedStorage"}
    with override_settings(COLLAB={"STORAGE": backend}):
        async with documents.aedit(DOC) as doc:
            doc.get("text", type=Text).insert(0, "good")
        await adeliver_changes()
        async with connect(application, f"/ws/{DOC}") as client:
            await client.wait_until(lambda: text_of(client.doc) == "good")
            storage = HinderedStorage.latest
            storage.failures["append"] = StorageUnavailable()
            before = storage.calls["append"]
            client.doc.get("text", type=Text)[0:4] = "bad"
            await until(lambda: storage.calls["append"] > before)
            del storage.failures["append"]
            await documents.asend_doc_update(DOC, Doc({"list": Array([1])}).get_update())
            await adeliver_changes()
            # As another process finds it, should this one die now.
            stored = await storage.load(DOC)
            assert stored is not None
            found: Doc[Any] = Doc()
            apply_stored(found, stored)
            assert text_of(found) == "good"
        await close_rooms()
