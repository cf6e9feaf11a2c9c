"""A process may end at any statement: what was acknowledged is there, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .crashes import LETTERS
from .yjs import applied, text


def crashes(*arguments: str, database: str | None = None) -> list[dict[str, Any]]:
    """Return what the program ``crashes`` tells of each run."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    if database is not None:
        environment["COLLAB_TEST_DATABASE"] = database
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "tests.storage.crashes", *arguments]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def text_of(updates: list[str]) -> str:
    return text(applied(bytes.fromhex(update) for update in updates))


def check(run: dict[str, Any]) -> None:
    done, stored = run["done"], run["stored"]
    typed = sum(step.startswith("typed") for step in done)
    letters = text_of(stored.get("doc", []))
    # The letter that was on its way may be there or not, but it is in both documents or none.
    assert letters in (LETTERS[:typed], LETTERS[: typed + 1])
    others = {name for name in stored if name.startswith("doc ")}
    expected = {f"doc {number}" for number in range(1, len(letters) + 1)}
    gone = expected - others
    assert others <= expected
    assert gone <= ({"doc 1"} if "renamed" in done else set())
    assert "deleted" not in done or gone
    # The document that is renamed always has one name, and its seed once.
    seeded = [stored[name] for name in ("seeded", "renamed") if name in stored]
    assert len(seeded) <= 1 and all(len(updates) == 1 for updates in seeded)
    assert "created" not in done or seeded
    assert "renamed" not in done or "renamed" in stored


def check_all(runs: list[dict[str, Any]]) -> None:
    assert len(runs) > 50
    for run in runs:
        check(run)
    assert [run["crashed"] for run in runs] == [True] * (len(runs) - 1) + [False]
    # The snapshot covers the log, which is gone.
    assert len(runs[-1]["stored"]["doc"]) == 1


def test_the_orm_storage(database: str) -> None:
    check_all(crashes("orm", database=database))


def test_the_sqlite_storage(tmp_path: Path) -> None:
    check_all(crashes("sqlite", str(tmp_path / "documents.sqlite3")))
