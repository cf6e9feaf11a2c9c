"""Tests of projects call document types without waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pycrdt import Text

from collab import documents
from collab.testing import adeliver_changes, deliver_changes
from tests.projects.documents import Recorded, calls


@pytest.fixture(autouse=True)
def _pause(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Recorded, "change_delay", 100.0)
    yield
    calls.clear()


@pytest.mark.django_db
def test_changes_are_delivered_in_a_test_case_that_never_commits() -> None:
    with documents.edit("recorded/5") as doc:
        doc.get("text", type=Text).insert(0, "Hello")
    assert deliver_changes() == 1
    assert calls == [("created", 5), ("changed", 5, "Hello", [])]


@pytest.mark.django_db(transaction=True)
async def test_changes_are_delivered_in_asynchronous_tests() -> None:
    async with documents.aedit("recorded/5") as doc:
        doc.get("text", type=Text).insert(0, "Hello")
    assert await adeliver_changes() == 1
    assert calls == [("created", 5), ("changed", 5, "Hello", [])]
