"""A process of the project without a server: changes rows, and reads what documents should show.

It reads a JSON list from each line of its input, and answers with a line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import django

django.setup(set_prefix=False)

from django.contrib.auth.models import User  # noqa: E402
from django.db import DatabaseError, transaction  # noqa: E402

from collab.mirror.registry import mirrors_in  # noqa: E402
from tests.rows.models import Board, Label, Task  # noqa: E402

Step = Sequence[Any]


def begin() -> None:
    """Create the boards, owners and labels that steps name."""
    for number in (1, 2, 3):
        Board.objects.create(pk=number, name=f"board {number}")
        User.objects.create(pk=number, username=f"user {number}")
        Label.objects.create(pk=number, name=f"label {number}")


def change(steps: Sequence[Step], is_atomic: bool, is_committed: bool) -> None:
    """Take steps, each by itself or all in a transaction, which may be rolled back."""
    if not is_atomic:
        for step in steps:
            take(*step)
        return
    with transaction.atomic():
        for step in steps:
            take(*step)
        transaction.set_rollback(not is_committed)


def take(kind: str, *values: Any) -> None:
    """Take a step; the database may refuse it, as it breaks a deadlock with the server."""
    try:
        with transaction.atomic():
            _STEPS[kind](*values)
    except DatabaseError:
        if transaction.get_connection().in_atomic_block:
            raise


def _some(number: int) -> list[Task]:
    tasks = list(Task.objects.order_by("pk"))
    return tasks[number % len(tasks) :][:1] if tasks else []


def _create(board: int, owner: int | None, text: str) -> None:
    Task.objects.create(board_id=board, owner_id=owner, title=text, body=text)


def _save(number: int, field: str, value: Any) -> None:
    for task in _some(number):
        setattr(task, field, value)
        task.save()


def _save_field(number: int, field: str, value: Any) -> None:
    for task in _some(number):
        setattr(task, field, value)
        task.save(update_fields=[field])


def _delete(number: int) -> None:
    for task in _some(number):
        task.delete()


def _insert_many(board: int, owner: int | None, count: int) -> None:
    Task.objects.bulk_create(
        Task(board_id=board, owner_id=owner, title=f"{number} of {count}", done=number % 2 == 0)
        for number in range(count)
    )


def _update_many(board: int, field: str, value: Any) -> None:
    Task.objects.filter(board=board).update(**{field: value})


def _save_many(board: int, text: str) -> None:
    tasks = list(Task.objects.filter(board=board))
    for task in tasks:
        task.body, task.position = task.body[1:] + text, len(text)
    Task.objects.bulk_update(tasks, ["body", "position"])


def _delete_many(board: int, done: bool) -> None:
    Task.objects.filter(board=board, done=done).delete()


def _label(number: int, label: int) -> None:
    for task in _some(number):
        task.labels.set([label])
    Label.objects.get(pk=label).task_set.add(*_some(number + 1))


def _savepoint(steps: Sequence[Step], is_committed: bool) -> None:
    with transaction.atomic():
        for step in steps:
            take(*step)
        transaction.set_rollback(not is_committed)


_STEPS: dict[str, Any] = {
    "create": _create,
    "save": _save,
    "save_field": _save_field,
    "delete": _delete,
    "insert_many": _insert_many,
    "update_many": _update_many,
    "save_many": _save_many,
    "delete_many": _delete_many,
    "label": _label,
    "savepoint": _savepoint,
}


def expected(rooms: Sequence[str]) -> dict[str, Any]:
    """Return by document and map what the ORM says that they show."""
    found: dict[str, Any] = {}
    for room in rooms:
        for mirror in mirrors_in(room):
            rows = mirror.rows(room)
            assert rows is not None
            instances = list(rows)
            values = mirror.values(instances, room)
            found.setdefault(room, {})[mirror.map_name] = {
                str(row.pk): shown for row, shown in zip(instances, values, strict=True)
            }
    return found


def main() -> None:
    """Answer each line of the input."""
    questions: dict[str, Any] = {"begin": begin, "change": change, "expected": expected}
    for line in sys.stdin:
        name, *values = json.loads(line)
        print(json.dumps(questions[name](*values)), flush=True)


if __name__ == "__main__":
    main()
