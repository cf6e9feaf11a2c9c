"""Questions of many callers that are answered together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

__all__ = ["Gathering"]

K = TypeVar("K", bound=Hashable)
Q = TypeVar("Q")
A = TypeVar("A")


class _Asked(Generic[Q, A]):
    """Questions about one subject, and the task that answers them."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.questions: list[Q] = []
        self.answers: asyncio.Future[Sequence[A | Exception]] = asyncio.Future()
        self.waiting = 0


class Gathering(Generic[K, Q, A]):
    """Answers together the questions that are asked about a subject in one turn of the event loop.

    An answer is never older than its question: one that is asked while others are being answered
    does not wait for them.

    Args:
        answer: returns an answer or an error for each question about a subject, in their order. An
            error that it raises is the answer to each of them.
    """

    def __init__(self, answer: Callable[[K, list[Q]], Awaitable[Sequence[A | Exception]]]) -> None:
        self._answer = answer
        self._open: dict[K, _Asked[Q, A]] = {}

    async def ask(self, subject: K, question: Q) -> A:
        """Return the answer to a question.

        Raises:
            Exception: the answer is this error.
        """
        batch = self._open.get(subject)
        if batch is None:
            batch = self._open[subject] = _Asked()
            answering = self._answer_all(subject, batch)
            batch.task = asyncio.create_task(answering, name="collab-gathering")
        number = len(batch.questions)
        batch.questions.append(question)
        batch.waiting += 1
        try:
            answer = (await asyncio.shield(batch.answers))[number]
        finally:
            batch.waiting -= 1
            if not batch.waiting:
                self._end(subject, batch)
        if isinstance(answer, Exception):
            # Each caller has a traceback of its own, although they share the error.
            raise answer.with_traceback(None)
        return answer

    async def _answer_all(self, subject: K, batch: _Asked[Q, A]) -> None:
        self._close(subject, batch)
        answers: Sequence[A | Exception]
        try:
            answers = await self._answer(subject, batch.questions)
        except Exception as error:
            answers = [error] * len(batch.questions)
        batch.answers.set_result(answers)

    def _end(self, subject: K, batch: _Asked[Q, A]) -> None:
        """End: all callers have their answers, or were cancelled."""
        self._close(subject, batch)
        batch.task.cancel()

    def _close(self, subject: K, batch: _Asked[Q, A]) -> None:
        """Gather no more questions into a batch."""
        if self._open.get(subject) is batch:
            del self._open[subject]
