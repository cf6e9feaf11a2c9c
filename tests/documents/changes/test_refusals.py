"""Changes that a type has refused are applied after all, beside what came since."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from pycrdt import Text

from collab import documents
from collab.documents.changes.refusals import apply_refused, set_back_state
from collab.exceptions import DocumentNotFound
from collab.testing import deliver_changes
from collab_storage.models import RefusedState
from tests.projects.documents import Validated, calls, text_of


@pytest.fixture(autouse=True)
def _forget_calls() -> Iterator[None]:
    yield
    calls.clear()


pytestmark = pytest.mark.django_db(transaction=True)

DOC = "validated/doc"


def write(text: str, at: int, name: str = DOC, user: Any = None) -> None:
    with documents.edit(name, user=user) as doc:
        doc.get("text", type=Text).insert(at, text)
    deliver_changes()


def text(name: str = DOC) -> str:
    return text_of(documents.read(name))


@pytest.fixture
def refused() -> RefusedState:
    """A refused change of a document that has changed since."""
    write("good end", 0)
    write("bad ", 5)
    write("the very ", 5)
    assert text() == "good the very end"
    return RefusedState.objects.get()


@pytest.fixture
def moderator() -> User:
    return User.objects.create(username="moderator")


def test_a_refused_change_is_applied_beside_later_ones(
    refused: RefusedState, moderator: User
) -> None:
    apply_refused(refused, moderator)
    assert sorted(text().split()) == ["bad", "end", "good", "the", "very"]
    assert not RefusedState.objects.exists()
    deliver_changes()
    assert "bad" in text() and not RefusedState.objects.exists()


def test_the_type_is_asked_once_more(refused: RefusedState) -> None:
    with pytest.raises(ValidationError, match="Do not write bad words"):
        apply_refused(refused, User.objects.create(username="ann"))
    assert text() == "good the very end"
    assert RefusedState.objects.get() == refused


def test_a_change_is_applied_once(refused: RefusedState, moderator: User) -> None:
    apply_refused(RefusedState.objects.get(), moderator)
    before = text()
    apply_refused(refused, moderator)
    assert text() == before


def test_deleted_text_is_deleted_again(moderator: User) -> None:
    write("good words", 0)
    with documents.edit(DOC) as doc:
        doc.get("text", type=Text)[0:4] = "bad"
    deliver_changes()
    assert text() == "good words"
    apply_refused(RefusedState.objects.get(), moderator)
    assert text() == "bad words"


def test_there_is_nothing_to_apply_if_the_document_was_not_set_back(moderator: User) -> None:
    write("bad ", 0, "validated/strict")
    refused = RefusedState.objects.get()
    assert set_back_state(refused) is None
    apply_refused(refused, moderator)
    assert text("validated/strict") == "bad " and RefusedState.objects.exists()


def test_a_document_that_is_gone_is_not_made_again(refused: RefusedState, moderator: User) -> None:
    documents.delete(DOC)
    deliver_changes()
    with pytest.raises(DocumentNotFound):
        apply_refused(refused, moderator)
    assert not documents.exists(DOC)


def test_the_type_is_asked_before_the_transaction(
    refused: RefusedState, moderator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validate(self: Validated, doc: object, user: object, key: str) -> None:
        blocks.append(connection.in_atomic_block)

    blocks: list[bool] = []
    monkeypatch.setattr(Validated, "validate", validate)
    apply_refused(refused, moderator)
    assert blocks == [False]
    assert "bad" in text()


def test_others_may_decide_while_the_type_is_asked(
    refused: RefusedState, moderator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def discard(self: Validated, doc: object, user: object, key: str) -> None:
        RefusedState.objects.all().delete()

    monkeypatch.setattr(Validated, "validate", discard)
    apply_refused(refused, moderator)
    assert text() == "good the very end"


def test_a_document_that_is_deleted_while_the_type_is_asked_is_not_made_again(
    refused: RefusedState, moderator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete(self: Validated, doc: object, user: object, key: str) -> None:
        documents.delete(DOC)

    monkeypatch.setattr(Validated, "validate", delete)
    with pytest.raises(DocumentNotFound):
        apply_refused(refused, moderator)
    assert not documents.exists(DOC)


def test_a_refused_change_is_not_applied_to_a_later_document_of_the_name(
    refused: RefusedState, moderator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(self: Validated, doc: object, user: object, key: str) -> None:
        documents.delete(DOC)
        documents.replace(DOC, text="another", schema="quill", field="text")

    monkeypatch.setattr(Validated, "validate", replace)
    with pytest.raises(DocumentNotFound):
        apply_refused(refused, moderator)
    assert "bad" not in text()


def test_a_refused_change_follows_its_renamed_document(
    refused: RefusedState, moderator: User
) -> None:
    documents.rename(DOC, "validated/new")
    deliver_changes()
    apply_refused(RefusedState.objects.get(name="validated/new"), moderator)
    assert "bad" in text("validated/new")


def test_a_change_of_a_type_that_is_gone_is_applied_without_one(
    refused: RefusedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collab.documents.changes.refusals.resolve", lambda name: None)
    apply_refused(refused, None)
    assert "bad" in text()
