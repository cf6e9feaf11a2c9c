"""Documents exported with their history and imported again, from and into each storage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError
from django.test import override_settings

from collab import documents, history
from collab.conf import get_storage
from collab_storage.compaction import compact
from tests.collab.test_commands import run

from .material import letters, write

ANN, BEN = SimpleNamespace(pk=1), SimpleNamespace(pk=2)
BACKENDS = ("orm.ORMStorage", "sqlite.SQLiteStorage", "memory.MemoryStorage")

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def storage(backend: str, path: Path) -> Iterator[None]:
    options = {"path": str(path / "documents.sqlite3")} if "sqlite" in backend else {}
    setting = {"BACKEND": f"collab_storage.{backend}", "OPTIONS": options}
    with override_settings(COLLAB={"STORAGE": setting}):
        yield


def make(name: str) -> None:
    """Make a document with versions of all kinds, whose log is folded in part."""
    write(name, "one 😀", ANN)
    first = history.create(name, "First", user=ANN)
    write(name, " two", BEN)
    history.create(name)
    async_to_sync(compact)(get_storage(), name)
    write(name, " three", ANN)
    history.restore(name, first.id, user=BEN)
    write(name, " four", BEN)


def facts(name: str) -> dict[str, Any]:
    """Return all that is known of a document, without what each storage numbers by itself."""
    found = history.versions(name)
    ids: dict[int | None, int] = {version.id: place for place, version in enumerate(found)}
    return {
        "text": letters(documents.read(name)),
        "versions": [
            (
                v.at,
                v.title,
                v.kind,
                v.by,
                v.edits,
                v.made_by,
                v.digest,
                ids.get(v.restored_from or 0),
            )
            for v in found
        ],
        "contents": [letters(history.read(name, version.id)) for version in found],
        "authors": history.authors(name),
        "blame": [(run.start, run.end, run.user_id) for run in history.blame(name, "text")],
    }


def exported(path: Path, name: str = "doc") -> Path:
    file = path / "doc.yjs"
    run("collab_export", name, format="update", with_history=True, output=file)
    return file


@pytest.mark.parametrize("source", BACKENDS)
@pytest.mark.parametrize("target", BACKENDS)
def test_a_document_is_the_same_with_its_history(source: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with storage(source, tmp_path / "one"):
        make("doc")
        before = facts("doc")
        file = exported(tmp_path)
        documents.delete("doc")
    with storage(target, tmp_path):
        assert "3 versions" in run("collab_import", "copy", file, with_history=True)
        assert facts("copy") == before
        # Once more changes nothing, as after a run that was broken off.
        assert run("collab_import", "copy", file, with_history=True, verbosity=0) == ""
        assert facts("copy") == before


def test_a_run_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    with storage(BACKENDS[2], tmp_path):
        make("doc")
        before = facts("doc")
        file = exported(tmp_path)
        content = json.loads(file.with_suffix(".history.json").read_text())
        valid = content["versions"][1]["state"]
        content["versions"][1]["state"] = "AAAA"
        file.with_suffix(".history.json").write_text(json.dumps(content))
        with pytest.raises(CommandError, match="Version 1 of the history is not valid"):
            run("collab_import", "copy", file, with_history=True)
        assert len(history.versions("copy")) == 1
        content["versions"][1]["state"] = valid
        file.with_suffix(".history.json").write_text(json.dumps(content))
        run("collab_import", "copy", file, with_history=True)
        assert facts("copy") == before


def test_several_documents_are_exported_into_a_directory(tmp_path: Path) -> None:
    with storage(BACKENDS[2], tmp_path):
        for name in ("a/b", "c"):
            write(name, "one")
            history.create(name, "First")
        options = {"format": "update", "with_history": True, "output": tmp_path}
        run("collab_export", "a/b", "c", **options)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a%2Fb.history.json", "a%2Fb.yjs", "c.history.json", "c.yjs"]


def test_a_history_goes_with_an_update_in_a_file(tmp_path: Path) -> None:
    with storage(BACKENDS[2], tmp_path):
        write("doc", "one")
        for options in ({"format": "json", "output": tmp_path / "x"}, {"format": "update"}):
            with pytest.raises(CommandError, match="--format update -o PATH"):
                run("collab_export", "doc", with_history=True, **options)


def test_a_document_with_authors_of_its_own_takes_no_history(tmp_path: Path) -> None:
    with storage(BACKENDS[2], tmp_path):
        make("doc")
        file = exported(tmp_path)
        write("other", "typed", ANN)
        with pytest.raises(CommandError, match="has authors of its own"):
            run("collab_import", "other", file, with_history=True)
        write("folded", "typed")
        async_to_sync(compact)(get_storage(), "folded")
        with pytest.raises(CommandError, match="has authors of its own"):
            run("collab_import", "folded", file, with_history=True)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"format": 2},
        {"format": 1},
        {"format": 1, "versions": 7, "ranges": [], "deletions": []},
        {"format": 1, "versions": [], "ranges": [[1, 2]], "deletions": []},
        {"format": 1, "versions": [{}], "ranges": [], "deletions": []},
    ],
)
def test_a_history_that_is_not_valid_is_refused(content: Any, tmp_path: Path) -> None:
    with storage(BACKENDS[2], tmp_path):
        make("doc")
        file = exported(tmp_path)
        file.with_suffix(".history.json").write_text(json.dumps(content))
        with pytest.raises(CommandError):
            run("collab_import", "copy", file, with_history=True)


def test_a_state_must_be_that_of_its_version(tmp_path: Path) -> None:
    with storage(BACKENDS[2], tmp_path):
        make("doc")
        file = exported(tmp_path)
        content = json.loads(file.with_suffix(".history.json").read_text())
        content["versions"][0]["state"] = content["versions"][1]["state"]
        file.with_suffix(".history.json").write_text(json.dumps(content))
        with pytest.raises(CommandError, match="another digest"):
            run("collab_import", "copy", file, with_history=True)
