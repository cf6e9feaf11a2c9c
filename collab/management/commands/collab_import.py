from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from collab.documents import edit, exists, send_doc_update
from collab.management.file_formats import clear, fill
from collab.management.selection import DocumentsCommand

_SUFFIXES = {".json": "json", ".txt": "text", ".yjs": "update"}


class Command(DocumentsCommand):
    help = (
        "Import a file into a document: a Yjs update is merged into its content; JSON and text"
        " make a new document, or with --replace the new content of one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("file", metavar="FILE", help='"-" is standard input')
        parser.add_argument(
            "--format",
            choices=sorted(_SUFFIXES.values()),
            help="by default from the ending of the file's name: .json, .txt or .yjs",
        )
        parser.add_argument(
            "--replace", action="store_true", help="delete the present content of the document"
        )
        parser.add_argument(
            "--root", default="text", help='root to write text into (default: "text")'
        )

    def run(self, **options: Any) -> None:
        name, file = options["name"], options["file"]
        data = _read(file)
        match options["format"] or _format_of(file):
            case "json":
                _write(name, _parse(data, file), replace=options["replace"])
            case "text":
                _write(name, {options["root"]: _decode(data, file)}, replace=options["replace"])
            case _:
                _merge(name, data, file, replace=options["replace"])
        if options["verbosity"]:
            self.stdout.write(f"{file} is in {name!r} now.")


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error


def _format_of(file: str) -> str:
    try:
        return _SUFFIXES[Path(file).suffix]
    except KeyError:
        raise CommandError(
            f"The format of {file} is unknown. Add --format {'|'.join(_SUFFIXES.values())}"
        ) from None


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not text in UTF-8: {error.reason}.") from error


def _parse(data: bytes, file: str) -> dict[str, Any]:
    try:
        # JavaScript has no other numbers, and pycrdt panics at integers larger than its own.
        content = json.loads(_decode(data, file), parse_int=float)
    except json.JSONDecodeError as error:
        raise CommandError(f"{file} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise CommandError(f"{file} must be a JSON object: the content by the name of its root.")
    return content


def _write(name: str, content: dict[str, Any], *, replace: bool) -> None:
    if not replace and exists(name):
        raise CommandError(f"The document {name!r} exists already. Replace it with --replace")
    try:
        with edit(name) as doc:
            clear(doc)
            fill(doc, content)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _merge(name: str, update: bytes, file: str, *, replace: bool) -> None:
    if replace:
        raise CommandError(
            "An update is merged: it cannot replace what it may be a part of. Delete the document"
            " first, or import JSON or text."
        )
    try:
        send_doc_update(name, update)
    except ValueError as error:
        raise CommandError(f"{file}: {error}") from error
