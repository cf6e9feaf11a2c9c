from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.files.storage import FileSystemStorage, storages
from django.core.management.base import CommandError
from pycrdt import Doc

from collab.documents import exists, read, send_doc_update
from collab.management.legacy_states import (
    DatabaseTable,
    LegacyStates,
    Objects,
    SQLiteTable,
    TableNames,
)
from collab.management.selection import DocumentsCommand
from collab.protocol.yjs.updates import read_state
from collab_storage.exceptions import InvalidName
from collab_storage.render import render_json


class Command(DocumentsCommand):
    help = (
        "Import the documents of a Hocuspocus server: from the file of its SQLite extension, a"
        " table of one of the project's databases, a folder, or a bucket. Documents that exist here"
        " already are left alone, so it may be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--sqlite", metavar="FILE", help="a SQLite file")
        source.add_argument("--database", metavar="ALIAS", help="a database of DATABASES")
        source.add_argument("--folder", metavar="DIRECTORY", help="a file for each document")
        source.add_argument("--storage", metavar="ALIAS", help="a storage of STORAGES, such as S3")
        parser.add_argument("--table", default="documents", help='(default: "documents")')
        parser.add_argument("--name-column", default="name", help='(default: "name")')
        parser.add_argument("--data-column", default="data", help='(default: "data")')
        parser.add_argument(
            "--suffix",
            default="",
            help="what the paths of files or objects have behind the documents' names",
        )
        parser.add_argument(
            "--prefix", default="", help="what the documents' names get before them here"
        )

    def run(self, **options: Any) -> None:
        states, prefix = _source(options), options["prefix"]
        names = states.names()
        new = [name for name in names if not _exists(f"{prefix}{name}")]
        failures = 0
        for name in self.progress(new, options):
            try:
                _import(states, name, f"{prefix}{name}")
            except (ValueError, InvalidName) as error:
                failures += 1
                self.stderr.write(f"{name!r}: {error}")
        if options["verbosity"]:
            skipped = len(names) - len(new)
            self.stdout.write(
                f"{len(new) - failures} documents are imported; {skipped} existed already."
            )
        if failures:
            raise CommandError(f"{failures} documents could not be imported.")


def _source(options: dict[str, Any]) -> LegacyStates:
    if path := options["folder"]:
        return Objects(FileSystemStorage(path), options["suffix"])
    if alias := options["storage"]:
        return Objects(storages[alias], options["suffix"])
    table = TableNames(options["table"], options["name_column"], options["data_column"])
    if path := options["sqlite"]:
        return SQLiteTable(path, table)
    return DatabaseTable(options["database"], table)


def _exists(name: str) -> bool:
    try:
        return exists(name)
    except InvalidName:
        # Reported when it is imported.
        return False


def _import(states: LegacyStates, source: str, name: str) -> None:
    """Import one document, and compare it with its source."""
    update = read_state(states.read(source))
    send_doc_update(name, update)
    original: Doc[Any] = Doc()
    original.apply_update(update)
    if render_json(read(name)) != render_json(original):
        raise ValueError("The imported document differs from its source.")
