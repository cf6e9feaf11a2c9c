from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.apps import apps
from django.core.management.base import CommandError

from collab.conf import get_storage
from collab.documents import list_documents
from collab.history.keeping.automatic import keep_at_rest
from collab.management.selection import DocumentsCommand, human_size
from collab_storage.compaction import CompactionResult, compact
from collab_storage.exceptions import DocumentCorrupt


class Command(DocumentsCommand):
    help = (
        "Merge the logs of documents into their snapshots, which makes them smaller and faster to"
        " open. The server does so itself when a log grows long; this may run beside it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("names", nargs="*", default=[], metavar="NAME")
        which.add_argument("--prefix", help="all documents whose names start with this")
        which.add_argument("--all", action="store_true", help="all documents")
        parser.add_argument(
            "--refresh",
            action="store_true",
            help="first rewrite rows where that makes a document much smaller; documents that were"
            " open less than a day ago stay as they are",
        )

    def run(self, **options: Any) -> None:
        refresh, prefix = _refresh(options["refresh"]), options["prefix"] or ""
        names = self.check_names(options["names"]) or _stored(prefix, with_log=refresh is None)
        results: list[CompactionResult] = []
        unreadable: list[str] = []
        refreshed = 0
        for name in self.progress(names, options):
            try:
                refreshed += refresh is not None and refresh(name)
                if result := async_to_sync(compact)(get_storage(), name):
                    results.append(result)
                    async_to_sync(keep_at_rest)(name)
            except DocumentCorrupt as error:
                unreadable.append(f"{name!r}: {error}")
        if options["verbosity"]:
            if refresh:
                self.stdout.write(f"The rows of {refreshed} documents were rewritten.")
            self.stdout.write(_summary(results))
        if unreadable:
            raise CommandError(
                "These documents cannot be read and were left as they are; restore them from a"
                " backup:\n" + "\n".join(unreadable)
            )


def _stored(prefix: str, *, with_log: bool) -> list[str]:
    return [info.name for info in list_documents(prefix) if info.log_length or not with_log]


def _refresh(is_wanted: bool) -> Callable[[str], bool] | None:
    if not is_wanted:
        return None
    if not apps.is_installed("collab.mirror"):
        raise CommandError("--refresh rewrites rows, but collab.mirror is not in INSTALLED_APPS.")
    from collab.mirror.history.refresh import refresh

    return refresh


def _summary(results: list[CompactionResult]) -> str:
    if not results:
        return "There was nothing to compact."
    rows = sum(result.rows for result in results)
    before = human_size(sum(result.size_before for result in results))
    after = human_size(sum(result.size_after for result in results))
    waiting = sum(not result.complete for result in results)
    text = f"{len(results)} compacted: {rows} updates, {before}, are {after} now."
    if waiting:
        text += f" {waiting} of them hold updates that build on one which never came."
    return text
