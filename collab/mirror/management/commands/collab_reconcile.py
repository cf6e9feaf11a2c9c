from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from collab.documents import list_documents
from collab.management.selection import DocumentsCommand
from collab.mirror.outgoing.writing import reconcile


class Command(DocumentsCommand):
    help = (
        "Make documents equal to the rows that are mirrored to them. Opening a document does that"
        " as well; this is for rows that were changed without Django's signals."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="by default all documents")
        parser.add_argument("--prefix", default="", help="documents whose names start with this")

    def run(self, **options: Any) -> None:
        names, prefix = options["names"], options["prefix"]
        if names and prefix:
            raise CommandError("Either names or --prefix, not both.")
        chosen = self.check_names(names) or [info.name for info in list_documents(prefix)]
        done, failed = 0, []
        for name in self.progress(chosen, options):
            try:
                done += reconcile(name, create=False)
            except Exception as error:
                failed.append(f"{name!r}: {type(error).__name__}: {error}")
        if options["verbosity"]:
            self.stdout.write(f"{done} documents are equal to their rows.")
        if failed:
            raise CommandError("Documents that failed:\n" + "\n".join(failed))
