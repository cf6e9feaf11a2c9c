"""Questions that are asked together are answered together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from collab.engine.runtime.gathering import Gathering
from tests.harness.waiting import until


class Answers:
    """Answers each number with its double, and records what was asked together."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[int]]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Exception | None = None
        self.cancelled = 0

    async def __call__(self, subject: str, numbers: list[int]) -> Sequence[int | Exception]:
        self.asked.append((subject, [*numbers]))
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return [ValueError(number) if number < 0 else 2 * number for number in numbers]


async def test_questions_of_one_turn_are_answered_together_by_subject() -> None:
    answers = Answers()
    gathering = Gathering(answers)
    asked = [("a", 1), ("b", 2), ("a", 3), ("a", 1)]
    found = await asyncio.gather(*(gathering.ask(*each) for each in asked))
    assert found == [2, 4, 6, 2]
    assert answers.asked == [("a", [1, 3, 1]), ("b", [2])]


async def test_a_question_does_not_wait_for_others_that_are_being_answered() -> None:
    answers = Answers()
    gathering = Gathering(answers)
    answers.may_answer.clear()
    first = asyncio.create_task(gathering.ask("a", 1))
    await until(lambda: answers.asked)
    hanging, answers.may_answer = answers.may_answer, asyncio.Event()
    answers.may_answer.set()
    assert await gathering.ask("a", 2) == 4
    hanging.set()
    assert await first == 2
    assert answers.asked == [("a", [1]), ("a", [2])]


async def test_an_error_is_the_answer_to_its_question_alone() -> None:
    gathering = Gathering(Answers())
    asks = [gathering.ask("a", number) for number in (1, -1, 2)]
    found = await asyncio.gather(*asks, return_exceptions=True)
    assert [found[0], found[2]] == [2, 4]
    assert isinstance(found[1], ValueError)


async def test_an_error_of_answering_is_the_answer_to_all() -> None:
    answers = Answers()
    answers.error = LookupError("away")
    gathering = Gathering(answers)
    asks = [gathering.ask("a", number) for number in range(3)]
    found = await asyncio.gather(*asks, return_exceptions=True)
    assert found == [answers.error] * 3


async def test_a_cancelled_question_ends_nothing_for_others() -> None:
    answers = Answers()
    gathering = Gathering(answers)
    answers.may_answer.clear()
    first, second = (asyncio.create_task(gathering.ask("a", number)) for number in (1, 2))
    await until(lambda: answers.asked)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    answers.may_answer.set()
    assert await second == 4


async def test_answering_ends_when_no_caller_waits_any_more() -> None:
    answers = Answers()
    gathering = Gathering(answers)
    answers.may_answer.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await gathering.ask("a", 1)
    await until(lambda: answers.cancelled == 1)


async def test_a_question_after_others_that_ended_before_their_turn_is_answered() -> None:
    answers = Answers()
    gathering = Gathering(answers)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await gathering.ask("a", 1)
    assert await gathering.ask("a", 2) == 4
