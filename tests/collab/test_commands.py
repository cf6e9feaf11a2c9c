"""Management commands: what they print, and that their errors say what to do next."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db import connections
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab import documents
from collab.conf import get_storage
from collab.management.file_formats import clear, fill
from collab.management.selection import human_size, progress
from collab.testing import use_memory_storage
from collab_storage.base import LogEntry, StoredDocument
from collab_storage.compaction import compact
from collab_storage.memory import MemoryStorage
from collab_storage.render import render_json

pytestmark = pytest.mark.usefixtures("storage")


@pytest.fixture
def storage() -> Any:
    with use_memory_storage():
        yield


def write(name: str, *texts: str) -> None:
    """Append each of ``texts`` to a document, as an update of its own."""
    for text in texts:
        with documents.edit(name) as doc:
            doc.get("text", type=Text).insert(0, text)


def spoil(name: str) -> None:
    """Store an update that cannot be read."""
    async_to_sync(get_storage().append)([LogEntry(name, b"\xff\xff", datetime.now(UTC))])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Bytes:
    """Standard output as a program has it, with bytes below the text."""

    def __init__(self, *, terminal: bool = False) -> None:
        self.buffer = io.BytesIO()
        self.isatty = lambda: terminal


def run(command: str, *arguments: object, **options: Any) -> str:
    """Run a command and return what it prints."""
    stdout = io.StringIO()
    call_command(command, *map(str, arguments), stdout=stdout, **options)
    return stdout.getvalue()


# collab_documents


def test_documents_are_listed_with_size_and_log() -> None:
    write("notes/1", "a", "b")
    write("plans/1", "c")
    heading, first, second = run("collab_documents").splitlines()
    assert heading.split() == ["size", "log", "changed", "name"]
    assert first.split()[2] == "2"
    assert first.endswith("  notes/1")
    assert second.endswith("  plans/1")


def test_documents_are_listed_by_prefix() -> None:
    write("notes/1", "a")
    write("plans/1", "c")
    assert "plans/1" not in run("collab_documents", "notes/")


def test_documents_are_listed_as_json_lines() -> None:
    write("notes/1", "a", "b")
    [line] = run("collab_documents", "--json").splitlines()
    values = json.loads(line)
    assert values.keys() == {"name", "snapshot_size", "log_size", "log_length", "updated_at"}
    assert (values["name"], values["log_length"]) == ("notes/1", 2)
    assert datetime.fromisoformat(values["updated_at"]) <= datetime.now(UTC)


def test_documents_are_listed_with_times_in_the_time_zone_of_the_project() -> None:
    write("notes/1", "a")
    at = datetime.fromisoformat(json.loads(run("collab_documents", "--json"))["updated_at"])
    with timezone.override("Etc/GMT-14"):
        _heading, line = run("collab_documents").splitlines()
    assert f"{at.astimezone(UTC) + timedelta(hours=14):%Y-%m-%d %H:%M:%S}" in line


def test_a_name_cannot_write_to_the_terminal() -> None:
    write("\x1b[2J", "a")
    assert "'\\x1b[2J'" in run("collab_documents")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (5 << 20, "5.0 MiB"),
        (1 << 42, "4096.0 GiB"),
    ],
)
def test_sizes_are_for_people(size: int, expected: str) -> None:
    assert human_size(size) == expected


# collab_compact


def test_named_documents_are_compacted() -> None:
    write("one", "a", "b")
    write("two", "a", "b")
    assert run("collab_compact", "one").startswith("1 compacted: 2 updates, ")
    lengths = {info.name: info.log_length for info in documents.list_documents()}
    assert lengths == {"one": 0, "two": 2}
    assert str(documents.read("one").get("text", type=Text)) == "ba"


def test_documents_are_compacted_by_prefix_or_all() -> None:
    write("notes/1", "a")
    write("plans/1", "a")
    assert run("collab_compact", prefix="notes/").startswith("1 compacted")
    assert run("collab_compact", all=True).startswith("1 compacted")
    assert run("collab_compact", all=True) == "There was nothing to compact.\n"


def test_updates_that_build_on_a_lost_update_are_reported() -> None:
    doc: Doc[Any] = Doc()
    text = doc.get("text", type=Text)
    text.insert(0, "lost")
    state = doc.get_state()
    text.insert(4, "found")
    documents.send_doc_update("one", doc.get_update(state))
    assert "1 of them hold updates that build on one which never came." in run(
        "collab_compact", "one"
    )


def test_a_document_that_cannot_be_read_does_not_stop_the_others() -> None:
    write("a", "text")
    spoil("b")
    write("c", "text")
    stdout = io.StringIO()
    with pytest.raises(CommandError, match=r"from a backup:\n'b': "):
        call_command("collab_compact", all=True, stdout=stdout)
    assert stdout.getvalue().startswith("2 compacted")


def test_documents_to_compact_must_exist() -> None:
    write("one", "text")
    with pytest.raises(CommandError, match="no document 'none'"):
        run("collab_compact", "one", "none")


class Overtaken(MemoryStorage):
    """Storage in which another process compacts a document while it is being compacted."""

    overtaking = False

    async def load(self, name: str) -> StoredDocument | None:
        stored = await super().load(name)
        if stored and not self.overtaking:
            self.overtaking = True
            await compact(self, name)
        return stored


def test_a_document_that_another_process_compacted_first_is_left_alone(settings: Any) -> None:
    settings.COLLAB = {"DEFAULT_ACCESS": "write", "STORAGE": {"BACKEND": f"{__name__}.Overtaken"}}
    write("one", "text")
    assert run("collab_compact", all=True) == "There was nothing to compact.\n"
    assert content("one") == {"text": "text"}


def test_documents_to_compact_must_be_named() -> None:
    with pytest.raises(CommandError, match="one of the arguments NAME --prefix --all is required"):
        run("collab_compact")


# Progress


def test_progress_is_a_bar_on_a_terminal() -> None:
    stream = Terminal()
    assert list(progress("abcd", OutputWrapper(stream))) == list("abcd")
    *_, last = stream.getvalue().split("\r")
    assert last == f"[{'#' * 30}] 4 of 4\n"


def test_progress_is_a_few_lines_in_a_log() -> None:
    stream = io.StringIO()
    list(progress(range(1000), OutputWrapper(stream)))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "100 of 1000"
    assert len(lines) == 9


def test_no_progress_without_work() -> None:
    stream = Terminal()
    assert list(progress("", OutputWrapper(stream))) == []
    assert stream.getvalue() == ""


def test_nothing_is_said_that_a_cron_job_would_mail(tmp_path: Path) -> None:
    for name in "abcdef":
        write(name, "text")
    stdout, stderr = io.StringIO(), io.StringIO()
    silent: dict[str, Any] = {"verbosity": 0, "stdout": stdout, "stderr": stderr}
    call_command("collab_compact", all=True, **silent)
    call_command("collab_export", *"abcdef", output=tmp_path, format="update", **silent)
    call_command("collab_import", "g", str(tmp_path / "a.yjs"), **silent)
    assert (stdout.getvalue(), stderr.getvalue()) == ("", "")


# collab_export


def test_a_document_is_printed_as_json_or_text() -> None:
    write("one", "Hällo")
    assert json.loads(run("collab_export", "one")) == {"text": "Hällo"}
    assert run("collab_export", "one", format="text") == "Hällo\n"


def test_a_document_is_written_to_a_file(tmp_path: Path) -> None:
    write("one", "Hällo")
    file = tmp_path / "new" / "one.txt"
    assert run("collab_export", "one", format="text", output=file) == ""
    assert file.read_text("utf-8") == "Hällo\n"


def test_documents_are_written_to_a_directory(tmp_path: Path) -> None:
    write("a/b", "one")
    write("..", "two")
    run("collab_export", "a/b", "..", format="update", output=tmp_path)
    doc: Doc[Any] = Doc()
    doc.apply_update((tmp_path / "a%2Fb.yjs").read_bytes())
    assert str(doc.get("text", type=Text)) == "one"
    assert (tmp_path / "...yjs").exists()


def test_one_document_is_written_to_a_directory(tmp_path: Path) -> None:
    write("one", "text")
    run("collab_export", "one", output=tmp_path)
    assert (tmp_path / "one.json").exists()


def test_several_documents_need_a_directory() -> None:
    with pytest.raises(CommandError, match="-o DIRECTORY"):
        run("collab_export", "one", "two")


def test_an_update_goes_to_a_pipe_but_not_to_a_terminal() -> None:
    write("one", "text")
    pipe = Bytes()
    call_command("collab_export", "one", format="update", stdout=pipe)
    doc: Doc[Any] = Doc()
    doc.apply_update(pipe.buffer.getvalue())
    assert str(doc.get("text", type=Text)) == "text"
    for stdout in (io.StringIO(), Bytes(terminal=True)):
        with pytest.raises(CommandError, match="-o FILE"):
            call_command("collab_export", "one", format="update", stdout=stdout)


@pytest.mark.parametrize("format", ["json", "update"])
def test_a_document_that_does_not_exist(format: str) -> None:
    with pytest.raises(CommandError, match=r"no document 'none'.* manage.py collab_documents"):
        run("collab_export", "none", format=format)


def test_a_document_that_cannot_be_read() -> None:
    spoil("one")
    with pytest.raises(CommandError, match="cannot read"):
        run("collab_export", "one")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    write("one", "text")
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="cannot be written: "):
        run("collab_export", "one", output=tmp_path / "file" / "one.json")


# collab_import


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Return a function that makes a file."""

    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def content(name: str) -> dict[str, Any]:
    return render_json(documents.read(name))


def test_json_makes_a_document(file: Any) -> None:
    path = file(
        "one.json", '{"text": "Hällo", "map": {"big": 1e30, "bigger": 99999999999999999999}}'
    )
    assert run("collab_import", "one", path) == f"{path} is in 'one' now.\n"
    assert content("one") == {
        "text": "Hällo",
        "map": {"big": int(1e30), "bigger": int(1e20)},
    }


def test_text_makes_a_document(file: Any) -> None:
    run("collab_import", "one", file("one.txt", "\ufeffHällo"))
    run("collab_import", "two", file("two", "Hällo"), format="text", root="body")
    assert (content("one"), content("two")) == ({"text": "Hällo"}, {"body": "Hällo"})


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Hello")))
    run("collab_import", "one", "-", format="text")
    assert content("one") == {"text": "Hello"}


def test_an_update_is_merged(file: Any) -> None:
    write("one", "Hello")
    doc = documents.read("one")
    doc.get("text", type=Text).insert(5, " you")
    run("collab_import", "one", file("one.yjs", doc.get_update()))
    assert content("one") == {"text": "Hello you"}


def test_a_document_is_not_written_over_unasked(file: Any) -> None:
    write("one", "old")
    path = file("one.txt", "new")
    with pytest.raises(CommandError, match="--replace"):
        run("collab_import", "one", path)
    run("collab_import", "one", path, replace=True)
    assert content("one") == {"text": "new"}


def test_an_update_cannot_replace(file: Any) -> None:
    with pytest.raises(CommandError, match="Delete the document first"):
        run("collab_import", "one", file("one.yjs", b"\0\0"), replace=True)


@pytest.mark.parametrize("kind", [Text, Array])
def test_letters_beyond_ascii_are_written_over(file: Any, kind: type[Any]) -> None:
    with documents.edit("one") as doc:
        root = doc.get("text", type=kind)
        root += ["é", "😀"] if kind is Array else "é😀"
    run("collab_import", "one", file("one.json", '{"text": "ü"}'), replace=True)
    assert content("one") == {"text": "ü"}


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("one.bin", "", r"Add --format html\|json\|markdown\|text\|update"),
        ("one.json", "{", "is not valid JSON: "),
        ("one.json", "[]", "must be a JSON object"),
        ("one.json", '{"text": 5}', "'text' is neither a text, a list nor an object"),
        ("one.json", '{"text": "\\ud800"}', "surrogates"),
        ("one.txt", b"\xff", "is not text in UTF-8"),
        ("one.yjs", b"\xff", "Not a Yjs update"),
    ],
)
def test_a_file_that_makes_no_sense(file: Any, name: str, data: str | bytes, error: str) -> None:
    with pytest.raises(CommandError, match=error):
        run("collab_import", "one", file(name, data))
    assert not documents.exists("one")


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        run("collab_import", "one", tmp_path / "one.json")


def test_a_name_that_no_document_may_have(file: Any) -> None:
    with pytest.raises(CommandError, match="1 to 255 characters"):
        run("collab_import", "x" * 256, file("one.txt", "text"))


# Content


def restored(content: dict[str, Any]) -> dict[str, Any]:
    """Return ``content`` after it has been in a document."""
    doc: Doc[Any] = Doc()
    fill(doc, content)
    return render_json(doc)


@pytest.mark.parametrize(
    "root",
    [
        "text",
        [{"insert": "bold", "attributes": {"bold": True}}, {"insert": " plain"}],
        [{"insert": {"image": "x"}, "attributes": {"width": 2}}, {"insert": "text"}],
        [1, None, "text", {"a": [True, {}]}],
        ["text", {"tag": "p"}],
        [{"tag": "p", "attributes": {}, "children": [5]}],
        [{"tag": "p", "attributes": {}, "children": []}, {"attributes": 1, "content": ""}],
        [{"insert": "x", "attributes": 1}],
        {"map": {"list": [1, {"text": "x"}]}},
        [
            {
                "tag": "heading",
                "attributes": {"level": 2, "ids": ["a"]},
                "children": [
                    [{"insert": "He", "attributes": {"bold": {}}}, {"insert": "llo"}],
                    {"tag": "br", "attributes": {}, "children": []},
                    {"attributes": {"lang": "en"}, "content": "you"},
                ],
            },
            "text",
        ],
    ],
)
def test_content_survives_the_way_out_and_in(root: Any) -> None:
    assert restored({"root": root}) == {"root": root}


def test_an_empty_root_leaves_nothing() -> None:
    assert restored({"one": None, "two": "", "three": "text"}) == {"three": "text"}


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(values, min_size=1) | st.dictionaries(st.text(), values, min_size=1))
def test_plain_values_survive_the_way_out_and_in(root: Any) -> None:
    assert restored({"root": root}) == {"root": root}


def test_all_content_is_cleared() -> None:
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, "text")
    doc.get("map", type=Map)["key"] = Array([1])
    doc.get("list", type=Array).append("item")
    fragment = doc.get("xml", type=XmlFragment)
    fragment.children.append(XmlElement("p", {"a": "b"}, [XmlText("text")]))
    stored: Doc[Any] = Doc()
    stored.apply_update(doc.get_update())
    clear(stored)
    assert set(render_json(stored).values()) == {None}


# Storage


def list_without_tables(settings: Any, alias: str) -> None:
    """List the documents of a database that was never migrated."""
    backend = "collab_storage.orm.ORMStorage"
    settings.COLLAB = {
        "DEFAULT_ACCESS": "write",
        "STORAGE": {"BACKEND": backend, "OPTIONS": {"using": alias}},
    }
    rename = "ALTER TABLE {} RENAME TO {}".format
    with connections[alias].schema_editor() as editor:
        editor.execute(rename("collab_storage_document", "away"))
    try:
        run("collab_documents")
    finally:
        with connections[alias].schema_editor() as editor:
            editor.execute(rename("away", "collab_storage_document"))


@pytest.mark.django_db(transaction=True)
def test_tables_are_missing(settings: Any) -> None:
    with pytest.raises(CommandError, match=r"manage\.py migrate"):
        list_without_tables(settings, "default")


@pytest.mark.django_db(transaction=True, databases=["postgres"])
def test_tables_are_missing_in_postgres(settings: Any) -> None:
    with pytest.raises(CommandError, match=r"manage\.py migrate"):
        list_without_tables(settings, "postgres")
