from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage
from django.core.management.base import CommandError

from collab.management.importing import ImportCommand
from collab.management.legacy_states import (
    DatabaseTable,
    LegacyStates,
    Objects,
    SQLiteTable,
    named_storage,
)


class Command(ImportCommand):
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
        super().add_arguments(parser)

    def open_source(self, **options: Any) -> LegacyStates:
        if path := options["folder"]:
            if not Path(path).is_dir():
                raise CommandError(f"There is no directory {path}.")
            return Objects(FileSystemStorage(path), options["suffix"])
        if alias := options["storage"]:
            return Objects(named_storage(alias), options["suffix"])
        names = options["table"], options["name_column"], options["data_column"]
        if path := options["sqlite"]:
            return SQLiteTable(path, *names)
        return DatabaseTable(options["database"], *names)
