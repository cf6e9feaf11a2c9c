"""A program that ends itself at every statement of what a storage does, one after the other.

    python -m tests.storage.crashes orm
    python -m tests.storage.crashes sqlite PATH

For each crash it prints a line of JSON: what had returned before it (``done``), and what is
stored afterwards (``stored``: the updates of each document, in hexadecimal). The last line is of
a run that did not crash. Each run is a process of its own, forked from this one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlite_anyio import Connection

from collab_storage import _sqlite_file, sqlite
from collab_storage.base import LogEntry, Storage
from collab_storage.compaction import compact
from collab_storage.sqlite import SQLiteStorage
from collab_storage.testing.material import START

from .yjs import typed

LETTERS = "abcdef"


class Bomb:
    """Ends the process at the statement of the given number: before it, or after it."""

    def __init__(self, number: int) -> None:
        self.countdown = number

    def tick(self) -> None:
        self.countdown -= 1
        if self.countdown == 0:
            os._exit(9)


async def scenario(storage: Storage, done: Callable[[str], None]) -> None:
    """Do something of everything; tell of each step when it has returned."""
    updates = typed(LETTERS, client_id=1)
    for number, update in enumerate(updates, 1):
        await storage.append(
            [LogEntry("doc", update, START), LogEntry(f"doc {number}", update, START)]
        )
        done(f"typed {number}")
        if number % 2 == 0:
            await compact(storage, "doc")
            done("compacted")
    await storage.create(LogEntry("seeded", updates[0], START))
    done("created")
    await storage.rename("seeded", "renamed")
    done("renamed")
    await storage.delete("doc 1")
    done("deleted")


async def dump(storage: Storage) -> dict[str, list[str]]:
    names = [info.name async for info in storage.documents()]
    documents = {name: await storage.load(name) for name in names}
    return {
        name: [update.hex() for update in document.updates]
        for name, document in documents.items()
        if document is not None
    }


class SQLiteCase:
    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.storage = SQLiteStorage(path)

    def reset(self) -> None:
        for file in self.path.parent.glob(f"{self.path.name}*"):
            file.unlink()

    @contextmanager
    def armed(self, bomb: Bomb) -> Iterator[None]:
        async def connect(path: str) -> Connection:
            connection = await _sqlite_file.connect(path)
            connection._real_connection.set_trace_callback(lambda statement: bomb.tick())
            return connection

        with patch.object(sqlite, "connect", connect):
            yield


class ORMCase:
    def __init__(self) -> None:
        import django

        django.setup()
        from collab_storage.orm import ORMStorage

        self.storage = ORMStorage()

    def reset(self) -> None:
        from collab_storage.models import Document

        Document.objects.all().delete()

    @contextmanager
    def armed(self, bomb: Bomb) -> Iterator[None]:
        from django.db import connection

        def execute(run: Callable[..., Any], *arguments: Any) -> Any:
            bomb.tick()
            result = run(*arguments)
            bomb.tick()
            return result

        with connection.execute_wrapper(execute):
            yield


def in_fork(work: Callable[[int], None]) -> tuple[int, str]:
    """Return the exit code and the output of a child process that does ``work(its pipe)``."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(writing)
        finally:
            os._exit(sys.exc_info()[0] is not None)
    os.close(writing)
    with open(reading) as pipe:
        output = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output


def run(case: SQLiteCase | ORMCase, number: int) -> tuple[int, str]:
    def work(pipe: int) -> None:
        def done(step: str) -> None:
            os.write(pipe, f"{step}\n".encode())

        from asgiref.sync import async_to_sync

        with case.armed(Bomb(number)):
            async_to_sync(scenario)(case.storage, done)

    return in_fork(work)


def read(case: SQLiteCase | ORMCase) -> Any:
    def work(pipe: int) -> None:
        os.write(pipe, json.dumps(asyncio.run(dump(case.storage))).encode())

    code, output = in_fork(work)
    if code:
        raise RuntimeError("What is stored cannot be read.")
    return json.loads(output)


def main(kind: str, *path: str) -> None:
    case = ORMCase() if kind == "orm" else SQLiteCase(*path)
    for number in itertools.count(1):
        in_fork(lambda pipe: case.reset())
        code, steps = run(case, number)
        if code not in (0, 9):
            raise RuntimeError(f"Run {number} failed.")
        line = {"done": steps.splitlines(), "stored": read(case), "crashed": code == 9}
        print(json.dumps(line), flush=True)
        if code == 0:
            break


if __name__ == "__main__":
    main(*sys.argv[1:])
