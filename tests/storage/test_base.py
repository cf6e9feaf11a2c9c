from __future__ import annotations

import pytest

from collab_storage.base import (
    LogRow,
    StoredDocument,
    check_name,
    check_prefix,
    new_version,
)
from collab_storage.exceptions import InvalidName, StorageError
from collab_storage.testing.material import HOSTILE_NAMES, NO_NAMES


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names(name: str) -> None:
    assert check_name(name) == check_prefix(name) == name


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_is_not_valid_is_refused(name: str) -> None:
    with pytest.raises(InvalidName, match="1 to 255 characters") as raised:
        check_name(name)
    assert isinstance(raised.value, StorageError)


def test_the_empty_prefix() -> None:
    assert check_prefix("") == ""


def test_the_updates_of_a_document() -> None:
    log = [LogRow(2, b"b"), LogRow(1, b"a")]
    assert StoredDocument(None, log, 1).updates == [b"b", b"a"]
    assert StoredDocument(b"snapshot", log, 1).updates == [b"snapshot", b"b", b"a"]


def test_versions_are_different_and_fit_into_databases() -> None:
    versions = [new_version() for _ in range(1_000)]
    assert len(set(versions)) == len(versions)
    assert min(versions) >= 0 and max(versions) < 2**63
