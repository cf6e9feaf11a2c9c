from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from asgiref.sync import async_to_sync
from django.core.management.base import CommandError

from collab import documents
from collab.conf import get_storage
from collab.management.file_formats import has_content
from collab.management.selection import DocumentsCommand
from collab_storage.compaction import readable_update
from collab_storage.exceptions import DocumentNotFound
from collab_storage.render import render_json, render_text


class Command(DocumentsCommand):
    help = (
        "Write documents to files: as HTML, Markdown, JSON or text for people and other programs,"
        " or as a Yjs update, which has all of a document and can be imported without loss."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="+", metavar="NAME")
        parser.add_argument("--format", choices=sorted(_FORMATS), default="json")
        parser.add_argument(
            "--schema",
            help="the editor whose content it is, such as tiptap (default: the document type's);"
            " without one, JSON and text are all of the document's roots",
        )
        parser.add_argument(
            "-o",
            "--output",
            type=Path,
            metavar="PATH",
            help="the file, or for several documents the directory (default: standard output)",
        )

    def run(self, **options: Any) -> None:
        names, output = options["names"], options["output"]
        suffix, write = _FORMATS[options["format"]]
        schema = options["schema"]

        def render(name: str) -> str | bytes:
            return write(name, schema)

        if len(names) == 1 and not (output and output.is_dir()):
            self._write(output, render(names[0]))
        elif output is None:
            raise CommandError("Several documents need a directory: -o DIRECTORY")
        else:
            for name in self.progress(names, options):
                # Names may have slashes and other characters that file names must not have.
                self._write(output / (quote(name, safe=" ") + suffix), render(name))

    def _write(self, path: Path | None, content: str | bytes) -> None:
        if path is None:
            self._print(content)
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from error

    def _print(self, content: str | bytes) -> None:
        if isinstance(content, str):
            self.stdout.write(content)
        elif (stream := getattr(self.stdout, "buffer", None)) and not self.stdout.isatty():
            stream.write(content)
            stream.flush()
        else:
            raise CommandError("An update is bytes, not text. Name a file: -o FILE")


def _html(name: str, schema: str | None) -> str:
    return documents.html(name, schema=schema) + "\n"


def _markdown(name: str, schema: str | None) -> str:
    return documents.markdown(name, schema=schema)


def _json(name: str, schema: str | None) -> str:
    if has_content(name, schema):
        value = documents.json(name, schema=schema)
    else:
        value = render_json(documents.read(name))
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _text(name: str, schema: str | None) -> str:
    if has_content(name, schema):
        return documents.text(name, schema=schema) + "\n"
    return render_text(documents.read(name)) + "\n"


def _update(name: str, schema: str | None) -> bytes:
    # Not through a Doc, which leaves out pending updates.
    stored = async_to_sync(get_storage().load)(name)
    if stored is None:
        raise DocumentNotFound(f"There is no document {name!r}.")
    return readable_update(stored, name)


_FORMATS: dict[str, tuple[str, Callable[[str, str | None], str | bytes]]] = {
    "html": (".html", _html),
    "json": (".json", _json),
    "markdown": (".md", _markdown),
    "text": (".txt", _text),
    "update": (".yjs", _update),
}
