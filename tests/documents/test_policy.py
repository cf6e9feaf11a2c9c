"""Every way to a document asks its type who may do what."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from pycrdt import Doc, Text

from collab.access import Access
from collab.documents.policy import authorize, seed
from collab.exceptions import NoSuchDocument
from tests.projects.documents import RecordedFiles


@pytest.mark.django_db
async def test_a_synchronous_method_decides() -> None:
    assert await authorize("recorded/5", User(pk=5)) is Access.WRITE
    assert await authorize("recorded/5", User(pk=6)) is Access.READ
    assert await authorize("recorded/5", AnonymousUser()) is Access.READ


@pytest.mark.django_db
async def test_a_coroutine_function_decides() -> None:
    assert await authorize("recorded/async/a", AnonymousUser()) is Access.WRITE


@pytest.mark.django_db
async def test_a_refusal_that_is_raised_reaches_the_caller() -> None:
    with pytest.raises(NoSuchDocument):
        await authorize("recorded/404", User(pk=404))


@pytest.mark.django_db
async def test_a_name_without_a_type_is_for_the_consumer_to_decide() -> None:
    assert await authorize("elsewhere", User(pk=5)) is None


@pytest.mark.django_db
async def test_a_type_without_a_permission_admits_no_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(RecordedFiles, "authorize")
    with pytest.raises(NotImplementedError, match="RecordedFiles does not say who may"):
        await authorize("recorded/files/a", User(pk=5))


@pytest.mark.django_db
async def test_a_new_document_is_seeded_by_its_type() -> None:
    for name, expected in [
        ("recorded/101", "seed of 101"),
        ("recorded/async/key", "key"),
        ("recorded/files/a", ""),
        ("elsewhere", ""),
    ]:
        doc: Doc[Any] = Doc()
        await seed(name, doc)
        assert str(doc.get("text", type=Text)) == expected
