from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from collab import documents, history
from collab.documents import edit, exists, send_doc_update
from collab.exceptions import ContentError
from collab.history import VersionKind, transfer
from collab.history.keeping.automatic import keep_before
from collab.management.file_formats import HISTORY_SUFFIX, SUFFIXES, clear, fill, has_content
from collab.management.selection import DocumentsCommand

_FORMATS = {suffix: format for format, suffix in SUFFIXES.items()}


class Command(DocumentsCommand):
    help = (
        "Import a file into a document: a Yjs update is merged into its content; HTML, Markdown,"
        " JSON and text make a new document, or with --replace the new content of one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("file", metavar="FILE", help='"-" is standard input')
        parser.add_argument(
            "--format",
            choices=sorted(SUFFIXES),
            help=f"by default from the ending of the file's name: {', '.join(_FORMATS)}",
        )
        parser.add_argument(
            "--schema",
            help="the editor whose content it becomes, such as tiptap (default: the document"
            " type's); without one, JSON is all of the document's roots, and text one of them",
        )
        parser.add_argument(
            "--replace", action="store_true", help="delete the present content of the document"
        )
        parser.add_argument(
            "--root",
            default="text",
            help='root to write text into where there is no schema (default: "text")',
        )
        parser.add_argument(
            "--with-history",
            action="store_true",
            help="import versions and authors, too, from the file beside that of a new document"
            f" that collab_export --with-history has written, as {HISTORY_SUFFIX}",
        )

    def run(self, **options: Any) -> None:
        name, file = options["name"], options["file"]
        data = _read(file)
        converts = has_content(name, options["schema"])
        format = options["format"] or _format_of(file)
        if options["with_history"]:
            self._import_history(name, data, options)
            return
        if options["replace"] or format == "update":
            async_to_sync(keep_before)(name, VersionKind.IMPORT)
        match format:
            case "html" | "markdown":
                self._convert(name, {format: _decode(data, file)}, options)
            case "text" if converts:
                self._convert(name, {"text": _decode(data, file)}, options)
            case "json" if converts:
                self._convert(name, {"json": _parse_json(data, file)}, options)
            case "json":
                _write(name, _parse(data, file), replace=options["replace"])
            case "text":
                _write(name, {options["root"]: _decode(data, file)}, replace=options["replace"])
            case _:
                _merge(name, data, file, replace=options["replace"])
        if options["verbosity"]:
            self.stdout.write(f"{file} is in {name!r} now.")

    def _import_history(self, name: str, data: bytes, options: dict[str, Any]) -> None:
        """Import an update with its history; a run that was broken off can be repeated."""
        path = str(Path(options["file"]).with_suffix(HISTORY_SUFFIX))
        content = _parse_json(_read(path), path)
        try:
            rows = transfer.rows_of(content)
            _merge(name, data, options["file"], replace=options["replace"])
            transfer.import_authors(name, content)
            transfer.import_versions(name, self.progress(rows, options))
        except history.HistoryError as error:
            raise CommandError(f"{path}: {error}") from error
        if options["verbosity"]:
            self.stdout.write(f"{options['file']} is in {name!r} now, with {len(rows)} versions.")

    def _convert(self, name: str, content: dict[str, Any], options: dict[str, Any]) -> None:
        """Give a document content that its schema says how to read."""
        _check_new(name, replace=options["replace"])
        try:
            report = documents.replace(name, schema=options["schema"], **content)
        except (ContentError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        for part, count in sorted(report.dropped.items()):
            self.stderr.write(f"{name}: {part} is not in the schema; dropped {count} times.")


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error


def _format_of(file: str) -> str:
    try:
        return _FORMATS[Path(file).suffix]
    except KeyError:
        raise CommandError(
            f"The format of {file} is unknown. Add --format {'|'.join(SUFFIXES)}"
        ) from None


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not text in UTF-8: {error.reason}.") from error


def _parse_json(data: bytes, file: str, **options: Any) -> Any:
    try:
        return json.loads(_decode(data, file), **options)
    except json.JSONDecodeError as error:
        raise CommandError(f"{file} is not valid JSON: {error}.") from error


def _parse(data: bytes, file: str) -> dict[str, Any]:
    # JavaScript has no other numbers, and pycrdt panics at integers larger than its own.
    content = _parse_json(data, file, parse_int=float)
    if not isinstance(content, dict):
        raise CommandError(f"{file} must be a JSON object: the content by the name of its root.")
    return content


def _check_new(name: str, *, replace: bool) -> None:
    if not replace and exists(name):
        raise CommandError(f"The document {name!r} exists already. Replace it with --replace")


def _write(name: str, content: dict[str, Any], *, replace: bool) -> None:
    _check_new(name, replace=replace)
    try:
        with edit(name) as doc:
            clear(doc)
            fill(doc, content)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _merge(name: str, update: bytes, file: str, *, replace: bool) -> None:
    if replace:
        raise CommandError(
            "An update is merged: it cannot replace content that it may be a part of. Delete the"
            " document first, or import JSON or text."
        )
    try:
        send_doc_update(name, update)
    except ValueError as error:
        raise CommandError(f"{file}: {error}") from error
