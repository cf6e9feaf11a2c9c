from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from asgiref.sync import async_to_sync
from django.core.management.base import CommandError

from collab import documents, history
from collab.conf import get_storage
from collab.history import transfer
from collab.management.file_formats import HISTORY_SUFFIX, SUFFIXES, has_content
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
        parser.add_argument("--format", choices=sorted(SUFFIXES), default="json")
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
        parser.add_argument(
            "--with-history",
            action="store_true",
            help="write versions and authors, too, into a file beside that of each document, as"
            f" {HISTORY_SUFFIX}; takes --format update",
        )

    def run(self, **options: Any) -> None:
        names, output = options["names"], options["output"]
        format, schema = options["format"], options["schema"]
        with_history = options["with_history"]
        if with_history and (output is None or format != "update"):
            raise CommandError("A history goes with an update: --format update -o PATH")

        if len(names) == 1 and not (output and output.is_dir()):
            self._write(output, _content(names[0], format, schema))
            if with_history:
                self._write_history(names[0], output, options)
        elif output is None:
            raise CommandError("Several documents need a directory: -o DIRECTORY")
        else:
            for name in self.progress(names, options):
                # Names may have slashes and other characters that file names must not have.
                path = output / (quote(name, safe=" ") + SUFFIXES[format])
                self._write(path, _content(name, format, schema))
                if with_history:
                    self._write_history(name, path, options)

    def _write_history(self, name: str, path: Path, options: dict[str, Any]) -> None:
        versions = [*reversed(history.versions(name))]
        rows = [*transfer.export_versions(name, self.progress(versions, options))]
        content = json.dumps(transfer.wrap_history(name, rows))
        self._write(path.with_suffix(HISTORY_SUFFIX), content)

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


def _content(name: str, format: str, schema: str | None) -> str | bytes:
    """Return a document in a format."""
    match format:
        case "update":
            return _update(name)
        case "html":
            return documents.html(name, schema=schema) + "\n"
        case "markdown":
            return documents.markdown(name, schema=schema)
        case "text" if has_content(name, schema):
            return documents.text(name, schema=schema) + "\n"
        case "text":
            return render_text(documents.read(name)) + "\n"
        case _ if has_content(name, schema):
            value = documents.json(name, schema=schema)
        case _:
            value = render_json(documents.read(name))
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _update(name: str) -> bytes:
    # Not through a Doc, which leaves out pending updates.
    stored = async_to_sync(get_storage().load)(name)
    if stored is None:
        raise DocumentNotFound(f"There is no document {name!r}.")
    return readable_update(stored, name)
