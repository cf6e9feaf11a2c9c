"""A process may be killed at any moment of a restoration or a prune: it has happened, or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

#: Kills that must hit each operation; a few anywhere if it is 0.
KILLS = os.environ.get("FUZZ_KILLS", "0")
SEED = os.environ.get("FUZZ_SEED", "1")


def run(**variables: str) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **variables}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "tests.history.killing", KILLS, SEED]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    found = json.loads(result.stdout.splitlines()[-1])
    print(found)
    assert found["processes"] >= 12
    assert min(found["hit"].get(name, 0) for name in ("restore", "prune")) >= int(KILLS)


def test_versions_in_the_database_are_as_before_or_after(database: str) -> None:
    run(COLLAB_TEST_DATABASE=database)


def test_versions_in_a_sqlite_file_are_as_before_or_after(
    sqlite_database: str, tmp_path: Path
) -> None:
    storage = {
        "BACKEND": "collab_storage.sqlite.SQLiteStorage",
        "OPTIONS": {"path": str(tmp_path / "documents.sqlite3")},
    }
    run(
        COLLAB_TEST_DATABASE=sqlite_database,
        COLLAB_TEST_SETTINGS=json.dumps({"STORAGE": storage}),
    )
