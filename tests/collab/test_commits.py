"""Work of a transaction is done once, after its commit."""

from __future__ import annotations

import pytest
from django.db import transaction

from collab.commits import Work, at_commit

done: list[str] = []


class Telling(Work):
    """Says what was asked for."""

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self.asked = ""

    def run(self) -> None:
        done.append(f"{self.using}: {self.asked}")


class Failing(Work):
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
