"""Work of a transaction is done once, after its commit."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from collab.engine.runtime.on_commit import CommitWork, SavepointScope, at_commit, waiting

done: list[str] = []


class Telling(CommitWork):
    """Says what was asked for."""

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self.asked = ""

    def run(self) -> None:
        if self.asked:
            done.append(f"{self.using}: {self.asked}")
        self.asked = ""


class Failing(CommitWork):
    def run(self) -> None:
        raise ZeroDivisionError


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


def ask(letter: str) -> None:
    with at_commit("default", Telling) as work:
        work.asked += letter


@pytest.mark.django_db(transaction=True)
def test_work_is_done_once_after_the_commit() -> None:
    with transaction.atomic():
        ask("a")
        with transaction.atomic():
            ask("b")
        ask("c")
        assert done == []
    assert done == ["default: abc"]


@pytest.mark.django_db(transaction=True)
def test_work_without_a_transaction_is_done_at_once() -> None:
    ask("a")
    ask("b")
    assert done == ["default: a", "default: b"]


@pytest.mark.django_db(transaction=True)
def test_work_that_only_a_savepoint_asked_for_goes_with_it() -> None:
    with transaction.atomic():
        with transaction.atomic():
            ask("a")
            transaction.set_rollback(True)
        assert done == []
    assert done == []


@pytest.mark.django_db(transaction=True)
def test_work_outlives_a_savepoint_that_asked_for_it_as_well() -> None:
    with transaction.atomic():
        with transaction.atomic():
            ask("a")
            with at_commit("default", Failing):
                pass
        ask("b")
        with transaction.atomic():
            ask("c")
            transaction.set_rollback(True)
    assert done == ["default: abc"]


@pytest.mark.django_db(transaction=True)
def test_work_that_fails_keeps_nothing_else_from_being_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    after: list[str] = []
    with transaction.atomic():
        transaction.on_commit(lambda: after.append("done"))
        with at_commit("default", Failing):
            pass
        ask("a")
    assert (done, after) == (["default: a"], ["done"])
    assert [record.name for record in caplog.records] == ["collab.commits"]


@pytest.mark.django_db(transaction=True)
def test_work_is_not_done_for_a_block_that_fails() -> None:
    with pytest.raises(ZeroDivisionError), at_commit("default", Telling):
        raise ZeroDivisionError
    assert done == []


class Marking(CommitWork):
    """Collects the marks that were committed."""

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self.marks: list[tuple[SavepointScope, str]] = []

    def run(self) -> None:
        if committed := [mark for mark in self.marks if mark[0].is_committed]:
            done.append("".join(letter for _, letter in committed))
        self.marks = [mark for mark in self.marks if mark not in committed]


def mark(letter: str) -> None:
    with at_commit("default", Marking) as work:
        work.marks.append((work.part, letter))


@pytest.mark.django_db(transaction=True)
def test_work_knows_which_savepoints_were_rolled_back() -> None:
    with transaction.atomic():
        for letter in "abc":
            with transaction.atomic():
                mark(letter)
                with transaction.atomic():
                    mark(letter.upper())
                    transaction.set_rollback(letter == "a")
                transaction.set_rollback(letter == "b")
        with transaction.atomic(savepoint=False):
            mark("d")
        mark("e")
    assert done == ["acCde"]


@pytest.mark.django_db(transaction=True)
def test_work_that_waits_can_be_asked() -> None:
    assert waiting("default", Telling) is None
    with transaction.atomic():
        transaction.on_commit(lambda: None)
        assert waiting("default", Telling) is None
        ask("a")
        assert waiting("default", Marking) is None
        work = waiting("default", Telling)
        assert work is not None and work.asked == "a"
    assert waiting("default", Telling) is None


@pytest.mark.django_db
def test_work_is_done_in_tests_in_which_django_calls_waiting_functions(
    django_capture_on_commit_callbacks: Any,
) -> None:
    for letter in "ab":
        with django_capture_on_commit_callbacks(execute=True):
            with transaction.atomic():
                mark(letter)
                transaction.set_rollback(letter == "b")
            mark("c")
    assert done == ["a", "c", "c"]
