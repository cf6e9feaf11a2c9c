from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from collab import history
from collab.documents import list_documents
from collab.management.selection import DocumentsCommand, human_size


class Command(DocumentsCommand):
    help = "List, make and restore versions of a document, or thin out those of many documents."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="list the versions of a document")
        listing.add_argument("name", metavar="NAME")
        creating = actions.add_parser("create", help="make a version of a document")
        creating.add_argument("name", metavar="NAME")
        creating.add_argument("--title", default="", help="named versions are never thinned out")
        restoring = actions.add_parser("restore", help="restore a version; it can be undone")
        restoring.add_argument("name", metavar="NAME")
        restoring.add_argument("id", type=int, metavar="ID")
        pruning = actions.add_parser(
            "prune", help="delete the versions that the policies of document types do not keep"
        )
        pruning.add_argument("names", nargs="*", metavar="NAME", help="default: all documents")
        pruning.add_argument("--prefix", default="", help="documents whose names start with this")

    def run(self, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(**options)
        except history.HistoryError as error:
            raise CommandError(str(error)) from error

    def _list(self, name: str, **options: Any) -> None:
        self.check_names([name])
        for version in history.versions(name):
            at = f"{timezone.localtime(version.at):%Y-%m-%d %H:%M:%S}"
            size, title = human_size(version.size), ascii(version.title) if version.title else ""
            line = f"{version.id:>8}  {at}  {version.kind:<8}{version.edits:>8} {size:>10}  {title}"
            self.stdout.write(line.rstrip())

    def _create(self, name: str, title: str, **options: Any) -> None:
        version = history.create(name, title)
        self.stdout.write(f"{version.id} is the version of {name!r} now.")

    def _restore(self, name: str, id: int, **options: Any) -> None:
        before = history.restore(name, id)
        self.stdout.write(
            f"{name!r} is as in version {id} now. To undo it: collab_versions restore"
            f" {name!r} {before.id}"
        )

    def _prune(self, names: list[str], prefix: str, **options: Any) -> None:
        chosen = self.check_names(names) or [info.name for info in list_documents(prefix)]
        deleted = sum(history.prune(name) for name in self.progress(chosen, options))
        if options["verbosity"]:
            self.stdout.write(f"{deleted} versions of {len(chosen)} documents were deleted.")
