from __future__ import annotations

import re
import time

import pytest

from collab.access import (
    GRANT_AGE,
    GRANT_PREFIX,
    Access,
    grant,
    granted_access,
    granted_to,
)


def test_more_access_compares_greater() -> None:
    assert Access.NONE < Access.READ < Access.COMMENT < Access.WRITE


def test_labels_are_the_words_that_clients_see() -> None:
    assert [access.label for access in Access] == ["none", "read", "comment", "write"]


async def test_a_grant_opens_its_document_only() -> None:
    token = grant("report", Access.READ)
    scope = {"subprotocols": ["collab", GRANT_PREFIX + token]}
    assert granted_to(scope, "report") == Access.READ
    assert granted_to(scope, "other") == Access.NONE
    assert granted_to({}, "report") == Access.NONE


def test_a_grant_ends_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    token = grant("report", Access.WRITE)
    assert granted_access(token, "report") == Access.WRITE
    later = time.time() + GRANT_AGE + 2
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    assert granted_access(token, "report") == Access.NONE


def test_a_grant_says_whether_it_is_for_versions_too() -> None:
    token = grant("report", Access.WRITE, history=True)
    assert granted_access(token, "report") == Access.WRITE
    assert granted_access(token, "report", history=True) == Access.WRITE
    assert granted_access(token, "other", history=True) == Access.NONE
    without = grant("report", Access.WRITE)
    assert granted_access(without, "report", history=True) == Access.NONE


def test_a_grant_can_be_offered_as_a_subprotocol() -> None:
    assert re.fullmatch(r"[\w.-]+", grant("ünïcode/" + "x" * 200, Access.WRITE))
