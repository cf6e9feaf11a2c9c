"""The static files of the element, as they are built and shipped."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.files.storage import FileSystemStorage

import collab.editor

pytestmark = pytest.mark.wheel

CLIENT = Path(__file__).parents[2] / "client-js"
STATIC = Path(collab.editor.__file__).parent / "static"
IMPORTED = re.compile(r"""(?:from|import)\s*\(?["'](\.[^"']+)["']""")


def test_hashed_names_lead_to_files_and_nothing_is_there_twice(
    tmp_path: Path, settings: Any
) -> None:
    settings.DEBUG = False
    storage = ManifestStaticFilesStorage(tmp_path, "/static/")
    source = FileSystemStorage(STATIC)
    names = [str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file()]
    for name in names:
        with source.open(name) as file:
            storage.save(name, file)
    processed = storage.post_process({name: (source, name) for name in names})
    assert [error for *_, error in processed if isinstance(error, Exception)] == []
    entry = storage.stored_name("collab_editor/editor.js")
    assert re.fullmatch(r"collab_editor/editor\.[0-9a-f]{12}\.js", entry)
    for path in [tmp_path / entry, *(tmp_path / "collab_editor/chunks").glob("*.js")]:
        found = IMPORTED.findall(path.read_text())
        assert [name for name in found if not (path.parent / name).is_file()] == []
        # It has two names, and would run twice.
        assert [name for name in found if name.endswith("editor.js")] == []


def test_the_files_are_those_that_the_sources_make(tmp_path: Path) -> None:
    # Built again elsewhere: neither the time nor the place is in them.
    command = [
        "npm",
        "exec",
        "vite",
        "--",
        "build",
        "--logLevel",
        "warn",
        "--outDir",
        str(tmp_path),
    ]
    subprocess.run([*command, "--emptyOutDir"], cwd=CLIENT, check=True)
    shipped, built = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in (STATIC / "collab_editor", tmp_path)
    )
    assert sorted(shipped) == sorted(built)
    assert [path for path in built if built[path] != shipped[path]] == []


def test_licences_of_what_is_in_the_files_are_listed() -> None:
    text = (STATIC / "collab_editor/licences.txt").read_text("utf-8")
    for name in ("yjs", "prosemirror-view", "@tiptap/core", "@codemirror/view", "lib0"):
        assert re.search(rf"^{name} \d\S* \(MIT\)$", text, re.MULTILINE)


def test_scripts_evaluate_no_text() -> None:
    for path in STATIC.rglob("*.js"):
        assert not re.search(r"\beval\(|new Function\(", path.read_text()), path
