"""Documents of Hocuspocus' storages: imported by the command, or when they are opened first."""

from __future__ import annotations

import io
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from pycrdt import Doc, Text

from collab import documents
from collab.documents import registry
from collab.protocol.yjs.updates import read_state
from collab.testing import use_memory_storage


@pytest.fixture(autouse=True)
def storage() -> Iterator[None]:
    with use_memory_storage():
        yield


def state(text: str) -> bytes:
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, text)
    return doc.get_update()


def text_of(name: str) -> str:
    return str(documents.read(name).get("text", type=Text))


def run(**options: Any) -> str:
    stdout = io.StringIO()
    call_command("collab_import_hocuspocus", stdout=stdout, stderr=io.StringIO(), **options)
    return stdout.getvalue()


@pytest.fixture
def sqlite_file(tmp_path: Path) -> str:
    """The file of the SQLite extension, with two documents."""
    path = tmp_path / "hocuspocus.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            'CREATE TABLE "documents" ("name" varchar(255) NOT NULL, "data" blob NOT NULL,'
            " UNIQUE(name))"
        )
        rows = [("one", state("first")), ("two", b64encode(state("second")).decode())]
        database.executemany("INSERT INTO documents VALUES (?, ?)", rows)
        database.commit()
    return str(path)


def test_documents_of_a_sqlite_file_are_imported_once(sqlite_file: str) -> None:
    assert run(sqlite=sqlite_file, prefix="old/") == (
        "2 documents are imported; 0 existed already.\n"
    )
    assert (text_of("old/one"), text_of("old/two")) == ("first", "second")
    with documents.edit("old/one") as doc:
        doc.get("text", type=Text).clear()
    assert "0 documents are imported; 2 existed already." in run(sqlite=sqlite_file, prefix="old/")
    assert text_of("old/one") == ""


@pytest.mark.django_db
def test_documents_of_a_table_are_imported() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE legacy (title text, content blob)")
        cursor.execute("INSERT INTO legacy VALUES (%s, %s)", ["one", state("first")])
        cursor.execute(
            "INSERT INTO legacy VALUES (%s, %s)", ["two", b64encode(state("second")).decode()]
        )
    run(database="default", table="legacy", name_column="title", data_column="content", verbosity=0)
    assert (text_of("one"), text_of("two")) == ("first", "second")


def test_files_and_objects_are_imported(tmp_path: Path) -> None:
    for name, data in [("one", state("first")), ("two", b64encode(state("second")) + b"\n")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(data)
    (tmp_path / "readme").write_text("No document.")
    backend = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path)},
    }
    with override_settings(STORAGES={"bucket": backend}):
        run(storage="bucket", suffix="/file")
    assert (text_of("one"), text_of("two")) == ("first", "second")
    assert "0 documents are imported; 2 existed" in run(folder=str(tmp_path), suffix="/file")


def test_documents_that_cannot_be_read_do_not_keep_the_others_out(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"\xff\xff")
    (tmp_path / "fine").write_bytes(state("fine"))
    (tmp_path / ("x" * 200)).write_bytes(state("long"))
    with pytest.raises(CommandError, match="2 documents could not be imported"):
        run(folder=str(tmp_path), prefix="p" * 100)
    assert text_of("p" * 100 + "fine") == "fine"


def test_a_document_that_differs_from_its_source_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_bytes(state("first"))
    module = "collab.management.importing"
    monkeypatch.setattr(f"{module}.read", lambda name: Doc())
    with pytest.raises(CommandError, match="1 documents"):
        run(folder=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sqlite": "missing.sqlite"}, "There is no file missing.sqlite"),
        ({"database": "default", "table": "a; DROP"}, "not the name of a table"),
        ({"database": "legacy"}, "DATABASES has no 'legacy'"),
        ({"database": "default", "table": "missing"}, "The table missing cannot be read"),
        ({"folder": "missing"}, "There is no directory missing"),
        ({"storage": "bucket"}, "config for 'bucket' in settings.STORAGES"),
    ],
)
@pytest.mark.django_db
def test_errors_say_what_is_wrong(options: dict[str, str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(**options)


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database" * 100)
    with pytest.raises(CommandError, match="cannot be read"):
        run(sqlite=str(tmp_path / "notes.txt"))


# When they are opened first.


@pytest.fixture
def legacy(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes | str]:
    monkeypatch.setattr(registry, "_registrations", registry.Registry())
    kept: dict[str, bytes | str] = {}

    @documents.register("legacy/<str:key>")
    class Legacy(documents.DocumentType):
        def load_legacy(self, key: str) -> bytes | str | None:
            return kept.get(key)

        def seed(self, doc: Doc[Any], key: str) -> None:
            doc.get("text", type=Text).insert(0, "seeded")

    return kept


@pytest.mark.django_db
def test_a_document_is_loaded_from_elsewhere_when_it_is_needed_first(
    legacy: dict[str, bytes | str],
) -> None:
    legacy["one"] = b64encode(state("first")).decode()
    with documents.edit("legacy/one") as doc:
        doc.get("text", type=Text).insert(0, "more, ")
    assert text_of("legacy/one") == "more, first"
    legacy["one"] = state("changed later")
    assert text_of("legacy/one") == "more, first"
    with documents.edit("legacy/two") as doc:
        assert str(doc.get("text", type=Text)) == "seeded"


@pytest.mark.parametrize("data", [b"\xff\xff", b"no base64!", "AAAB=", b64encode(b"\xff\xff")])
def test_data_that_is_not_a_state_is_refused(data: bytes | str) -> None:
    with pytest.raises(ValueError, match="Neither a Yjs update"):
        read_state(data)
