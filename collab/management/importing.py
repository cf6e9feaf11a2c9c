"""The base of the commands that import the documents of another server."""

from __future__ import annotations

from abc import abstractmethod
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from pycrdt import Doc

from collab.documents import exists, read, send_doc_update
from collab.management.legacy_states import LegacyStates
from collab.management.selection import DocumentsCommand
from collab.protocol.yjs.updates import read_state
from collab_storage.exceptions import InvalidName
from collab_storage.render import render_json

__all__ = ["ImportCommand", "is_same"]


class ImportCommand(DocumentsCommand):
    """A command that imports documents; those that exist here already are left alone."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--suffix",
            default="",
            help="the ending of the paths of files or objects, behind the documents' names",
        )
        parser.add_argument(
            "--prefix", default="", help="the beginning that the documents' names get here"
        )

    def run(self, **options: Any) -> None:
        states, prefix = self.open_source(**options), options["prefix"]
        names = states.names()
        new = failures = 0
        for name in self.progress(names, options):
            try:
                new += self.import_document(states, name, f"{prefix}{name}")
            except (ValueError, InvalidName) as error:
                failures += 1
                self.stderr.write(f"{name!r}: {error}")
        if options["verbosity"]:
            existed = len(names) - new - failures
            self.stdout.write(f"{new} documents are imported; {existed} existed already.")
        if failures:
            raise CommandError(f"{failures} documents could not be imported.")

    @abstractmethod
    def open_source(self, **options: Any) -> LegacyStates:
        """Return the place with the documents."""

    def import_document(self, states: LegacyStates, source: str, name: str) -> bool:
        """Import a document, and compare it with its source; return whether it is new.

        Raises:
            ValueError: it cannot be read, or differs from its source.
        """
        if exists(name):
            return False
        update = read_state(states.read(source))
        send_doc_update(name, update)
        if not is_same(read(name), update):
            raise ValueError("The imported document differs from its source.")
        return True


def is_same(doc: Doc[Any], update: bytes) -> bool:
    """Return whether a document has the content of its source."""
    original: Doc[Any] = Doc()
    original.apply_update(update)
    return render_json(doc) == render_json(original)
