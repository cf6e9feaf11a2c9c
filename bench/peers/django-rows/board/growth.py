"""Save tasks very often and print how large their document is: ``python -m board.growth N``."""

import json
import sys

import django

django.setup(set_prefix=False)

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from board.models import Task  # noqa: E402
from collab import documents  # noqa: E402
from collab.mirror import reconcile  # noqa: E402

#: The server compacts a document as often by itself (COMPACT_AFTER).
COMPACT_AFTER = 500


def size(name: str) -> int:
    """Return the bytes that are stored of a document."""
    return next(documents.list_documents(name)).size


def save_often(name: str, saves: int) -> None:
    """Save each task in turn, all of them in one transaction."""
    tasks = list(Task.objects.filter(board=0))
    for turn in range(saves // len(tasks)):
        if turn and turn % COMPACT_AFTER == 0:
            call_command("collab_compact", name, verbosity=0)
        with transaction.atomic():
            for task in tasks:
                task.title = f"Task {task.pk}, version {turn}"
                task.save()


def measure(saves: int) -> dict[str, int]:
    """Return bytes by what was done before."""
    reconcile("room-0")
    save_often("room-0", saves)
    figures = {"saved": size("room-0")}
    call_command("collab_compact", "room-0", verbosity=0)
    figures["compacted"] = size("room-0")
    call_command("collab_compact", "room-0", refresh=True, verbosity=0)
    figures["refreshed"] = size("room-0")
    documents.delete("room-0")
    reconcile("room-0")
    call_command("collab_compact", "room-0", verbosity=0)
    return figures | {"fresh": size("room-0")}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
