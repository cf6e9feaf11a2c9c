"""Make the tables and the tasks: ``python -m board.prepare SMALL LARGE``, numbers of tasks."""

import sys

import django
from django.core.management import call_command

django.setup(set_prefix=False)

from board.models import Task  # noqa: E402


def main(*sizes: int) -> None:
    """Give each board so many tasks."""
    call_command("migrate", verbosity=0, run_syncdb=True)
    for board, size in enumerate(sizes):
        Task.objects.bulk_create(
            Task(board=board, title=f"Task {number}", position=number) for number in range(size)
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
