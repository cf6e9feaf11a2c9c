from __future__ import annotations

import pytest

from collab.engine.connections import refused_answers
from collab.engine.connections.refused_answers import RefusedAnswers

ANN, BOB = ("notes", "ann"), ("notes", "bob")


def test_the_pause_doubles_with_each_refusal_up_to_a_limit() -> None:
    answers, now, pauses = RefusedAnswers(), 0.0, []
    for _ in range(12):
        answers.refuse(ANN, "MAX_DOCUMENT_SIZE", now)
        pauses.append(answers.pause(ANN, now))
        now += pauses[-1]
        assert answers.pause(ANN, now) == 0
    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-1] == 600
    assert answers.pause(BOB, now) == 0


def test_refusals_within_a_pause_are_one_and_are_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = RefusedAnswers()
    for now in (0.0, 0.5, 1.0):
        answers.refuse(ANN, "MAX_DOCUMENT_SIZE", now, "ann")
    assert answers.pause(ANN, 1.0) == 1
    (record,) = caplog.records
    assert (record.__dict__["room"], record.__dict__["user"]) == ANN


def test_an_accepted_answer_ends_the_pause() -> None:
    answers = RefusedAnswers()
    answers.refuse(ANN, "MAX_DOCUMENT_SIZE", 0)
    answers.accept(ANN)
    answers.accept(BOB)
    assert answers.pause(ANN, 0) == 0


def test_the_clients_that_are_remembered_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused_answers, "_MAX_REMEMBERED", 2)
    answers = RefusedAnswers()
    for number in range(3):
        answers.refuse(("notes", f"{number}"), "MAX_DOCUMENT_SIZE", 0)
    assert [answers.pause(("notes", f"{number}"), 0) for number in range(3)] == [0, 2, 2]
