from __future__ import annotations

from collab.access import Access


def test_more_access_compares_greater() -> None:
    assert Access.NONE < Access.READ < Access.COMMENT < Access.WRITE


def test_labels_are_the_words_that_clients_see() -> None:
    assert [access.label for access in Access] == ["none", "read", "comment", "write"]
