from __future__ import annotations

import re

import pytest

import collab_storage.exceptions
from collab import exceptions
from collab.exceptions import CollabError, Forbidden, MemberError
from collab.wire import CloseCode

MEMBER_ERRORS = MemberError.__subclasses__()


@pytest.mark.parametrize("error", [MemberError, *MEMBER_ERRORS])
def test_every_error_is_in_the_tree_and_exported(error: type[MemberError]) -> None:
    assert issubclass(error, CollabError)
    assert f" {error.__name__} " in (exceptions.__doc__ or "").replace("\n", " ")
    assert error.__name__ in exceptions.__all__


@pytest.mark.parametrize("error", MEMBER_ERRORS)
def test_the_tree_in_the_docstring_has_the_close_codes(error: type[MemberError]) -> None:
    assert re.search(rf"\b{error.__name__} +{error.close_code:d}$", exceptions.__doc__ or "", re.M)


def test_no_two_errors_have_the_same_close_code() -> None:
    codes = [error.close_code for error in MEMBER_ERRORS]
    assert len(codes) == len(set(codes))
    assert CloseCode.NORMAL not in codes


def test_the_docstring_is_the_message_unless_there_is_a_better_one() -> None:
    assert str(Forbidden()) == "You may not open this document."
    assert str(Forbidden("It is secret.")) == "It is secret."


def test_a_close_frame_has_room_for_the_message() -> None:
    for error in MEMBER_ERRORS:
        assert len(str(error()).encode()) <= 123


def test_errors_of_the_storage_are_the_storages_own() -> None:
    assert exceptions.DocumentNotFound is collab_storage.exceptions.DocumentNotFound
    assert exceptions.DocumentExists is collab_storage.exceptions.DocumentExists
