from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from collab.documents import list_documents
from collab.management.selection import DocumentsCommand, human_size
from collab_storage.base import DocumentInfo


class Command(DocumentsCommand):
    help = "List the stored documents: size, length of the log, last change, name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("prefix", nargs="?", default="", help="how their names start")
        parser.add_argument(
            "--json", action="store_true", help="one JSON object a line, sizes in bytes"
        )

    def run(self, **options: Any) -> None:
        as_json = options["json"]
        if not as_json:
            self.stdout.write(f"{'size':>10}  {'log':>6}  {'changed':19}  name")
        for info in list_documents(options["prefix"]):
            self.stdout.write(_json_line(info) if as_json else _line(info))


def _line(info: DocumentInfo) -> str:
    changed = f"{timezone.localtime(info.updated_at):%Y-%m-%d %H:%M:%S}"
    return f"{human_size(info.size):>10}  {info.log_length:>6}  {changed}  {_printable(info.name)}"


def _printable(name: str) -> str:
    """Return ``name``, which a client may have chosen, as a terminal may have it."""
    return name if name.isprintable() else repr(name)


def _json_line(info: DocumentInfo) -> str:
    return json.dumps(
        {
            "name": info.name,
            "snapshot_size": info.snapshot_size,
            "log_size": info.log_size,
            "log_length": info.log_length,
            "updated_at": info.updated_at.isoformat(),
        },
        ensure_ascii=False,
    )
