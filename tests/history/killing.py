"""A program that kills processes which make, restore and thin out versions, at random moments.

    python -m tests.history.killing KILLS SEED

``KILLS`` is the number of kills that must hit each of restore and prune between its beginning and
its end; with 0, some processes are killed wherever that hits. The last line is JSON: the number of
processes, and by operation of the kills that have hit it. It fails if a document is ever between
the states before and after the operation that was under way.

Each process is forked from this one, which never opens the database.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
from collections import Counter
from collections.abc import Callable
from threading import Event
from typing import Any

NAME = "doc"
#: Versions made by the way that a prune keeps.
KEPT = 2
#: Processes after which the document is deleted, as its versions become many.
ROUND = 10
#: Processes that are killed wherever that hits.
SHORT = 12
#: The longest time from the beginning of an operation to the kill, in seconds.
LONGEST = 0.015
THINNED = ("auto", "replace")

#: The text, and of each version from the oldest: kind, title, and its text.
State = tuple[str, list[list[str]]]


def read_state() -> State:
    from pycrdt import Text

    from collab import documents, history

    def text_of(doc: Any) -> str:
        return str(doc.get("text", type=Text))

    versions = reversed(history.versions(NAME))
    return text_of(documents.read(NAME)), [
        [each.kind.value, each.title, text_of(history.read(NAME, each.id))] for each in versions
    ]


def after(state: State, operation: list[Any]) -> State:
    """Return the state that a completed operation leaves."""
    text, versions = state
    match operation:
        case ["type", letter]:
            return text + letter, versions
        case ["auto"]:
            return text, [*versions, ["auto", "", text]]
        case ["name", title]:
            return text, [*versions, ["named", title, text]]
        case ["restore", index]:
            return versions[index][2], [*versions, ["restore", "", text]]
        case _:
            thinned = [each for each in versions if each[0] in THINNED]
            gone = [id(each) for each in thinned[:-KEPT]]
            return text, [each for each in versions if id(each) not in gone]


def work(send: Callable[[Any], None], seed: int) -> None:
    """Do one operation after the other, each announced and reported."""
    from pycrdt import Text

    from collab import documents, history

    chance, policy = random.Random(seed), documents.History(every=0, max_versions=KEPT)
    state = read_state() if documents.exists(NAME) else ("", [])
    send(["start", state])
    for number in range(1_000):
        # A letter before each, so that states differ.
        letter = chance.choice("abcdefgh")
        choices: list[list[Any]] = [["auto"], ["prune"], ["name", f"{seed}.{number}"]]
        choices += [["restore", chance.randrange(len(state[1]))]] * 2 if state[1] else []
        for operation in (["type", letter], chance.choice(choices)):
            send(["begin", operation])
            match operation:
                case ["type", letter]:
                    with documents.edit(NAME) as doc:
                        root = doc.get("text", type=Text)
                        root.insert(len(root), letter)
                case ["auto"]:
                    history.create(NAME)
                case ["name", title]:
                    history.create(NAME, title)
                case ["restore", index]:
                    ids = [version.id for version in history.versions(NAME)]
                    history.restore(NAME, ids[-1 - int(index)])
                case _:
                    history.prune(NAME, policy)
            state = after(state, operation)
            send(["done"])


def fork(job: Callable[[Callable[[Any], None]], None]) -> tuple[int, int]:
    """Return the pid of a process that does ``job``, and the pipe to which it sends JSON lines."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            job(lambda value: void(os.write(writing, f"{json.dumps(value)}\n".encode())))
        finally:
            os._exit(sys.exc_info()[0] is not None)
    os.close(writing)
    return pid, reading


def void(value: object) -> None:
    """Ignore a result."""


def found_state() -> State:
    """Return the state as another process reads it."""
    pid, reading = fork(lambda send: send(read_state()))
    with open(reading) as pipe:
        output = pipe.read()
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise RuntimeError("The document cannot be read.")
    text, versions = json.loads(output)
    return text, versions


def delete() -> None:
    def job(send: Callable[[Any], None]) -> None:
        from collab import documents

        documents.delete(NAME)

    pid, reading = fork(job)
    os.close(reading)
    os.waitpid(pid, 0)


def kill_one(chance: random.Random, seed: int, target: str) -> str | None:
    """Start a process, and kill it at an operation; return that which this has hit, if any."""
    pid, reading = fork(lambda send: work(send, seed))
    number, beginning = chance.randint(1, 3), f'["begin", ["{target}"'.encode()
    with open(reading, "rb", buffering=0) as pipe:
        data = b""
        while data.count(beginning) < number:
            part = pipe.read(65536)
            if not part:
                raise RuntimeError("The process has failed.")
            data += part
        Event().wait(chance.uniform(0, LONGEST))
        os.kill(pid, signal.SIGKILL)
        while select.select([pipe], [], [])[0] and (part := pipe.read(65536)):
            data += part
    os.waitpid(pid, 0)
    return check([json.loads(line) for line in data.splitlines() if line.endswith(b"]")])


def check(lines: list[list[Any]]) -> str | None:
    """Check that the document is as before or after the operation that was under way."""
    state: State = lines[0][1][0], lines[0][1][1]
    running: list[Any] | None = None
    for kind, *rest in lines[1:]:
        if kind == "begin":
            running = rest[0]
        elif running is not None:
            state, running = after(state, running), None
    found = found_state()
    expected = [state] if running is None else [state, after(state, running)]
    if [*found] not in [[*each] for each in expected]:
        raise RuntimeError(f"{running}: {found} is none of {expected}.")
    return None if running is None else running[0]


def main(kills: int, seed: int) -> None:
    """Kill processes until each operation has been hit often enough."""
    import django

    django.setup()
    chance, hit, processes = random.Random(seed), Counter[str | None](), 0
    while min(hit["restore"], hit["prune"]) < kills or processes < SHORT:
        target = min(("restore", "prune"), key=lambda name: hit[name])
        hit[kill_one(chance, seed + processes, target)] += 1
        processes += 1
        if processes % ROUND == 0:
            delete()
    print(json.dumps({"processes": processes, "hit": {str(key): hit[key] for key in hit}}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
