"""Changes of rows at random, by threads and by processes at the same time.

python -m tests.mirror.changes SEED COUNT BOARD...
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from random import Random

import django
from django.db import DatabaseError, router, transaction

__all__ = ["change_at_random"]


def change_at_random(seed: int, count: int, boards: Sequence[int]) -> int:
    """Do ``count`` things to the tasks of ``boards``; return how many of them have failed."""
    changes = _Changes(Random(seed), boards)
    return sum(not changes.do_one() for _ in range(count))


class _Changes:
    def __init__(self, random: Random, boards: Sequence[int]) -> None:
        from tests.rows.models import Label, Task

        self.random = random
        self.boards = boards
        self.tasks = Task.objects
        self.labels = Label.objects
        self.using = router.db_for_write(Task)

    def do_one(self) -> bool:
        """Do something; false if the database has refused, as it breaks a deadlock."""
        kinds = [self.create, self.save, self.save, self.save_field, self.move, self.update]
        kinds += [self.delete, self.label, self.together, self.in_vain]
        try:
            self.random.choice(kinds)()
        except DatabaseError:
            return False
        return True

    def _any(self) -> list[int]:
        keys = list(self.tasks.order_by().values_list("pk", flat=True))
        return self.random.sample(keys, min(3, len(keys)))

    def _text(self) -> str:
        return "".join(self.random.choices("abc \n", k=8))

    def create(self) -> None:
        board = self.random.choice(self.boards)
        self.tasks.create(board_id=board, title=self._text().strip(), body=self._text())

    def save(self) -> None:
        for task in self.tasks.filter(pk__in=self._any()):
            task.title, task.body = self._text().strip(), task.body + self._text()
            task.save()

    def save_field(self) -> None:
        for task in self.tasks.filter(pk__in=self._any()[:1]):
            task.position = self.random.randrange(100)
            task.save(update_fields=["position"])

    def move(self) -> None:
        for task in self.tasks.filter(pk__in=self._any()[:1]):
            task.board_id = self.random.choice(self.boards)
            task.save()

    def update(self) -> None:
        board = self.random.choice(self.boards)
        self.tasks.filter(pk__in=self._any()).update(board_id=board, done=True)

    def delete(self) -> None:
        self.tasks.filter(pk__in=self._any()[:1]).delete()

    def label(self) -> None:
        label = self.labels.order_by("?").first() or self.labels.create(name="l")
        for task in self.tasks.filter(pk__in=self._any()[:1]):
            self.random.choice([task.labels.add, task.labels.remove])(label)

    def together(self) -> None:
        with transaction.atomic(self.using):
            self.create()
            self.save()
            self.in_vain()
            self.move()

    def in_vain(self) -> None:
        with transaction.atomic(self.using):
            self.save()
            self.delete()
            transaction.set_rollback(True, self.using)


if __name__ == "__main__":
    django.setup()
    seed, count, *boards = map(int, sys.argv[1:])
    print(change_at_random(seed, count, boards))
