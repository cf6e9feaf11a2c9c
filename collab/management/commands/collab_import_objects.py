from __future__ import annotations

from argparse import ArgumentParser
from contextlib import nullcontext
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from collab import history
from collab.history.storage import history_storage
from collab.management.importing import ImportCommand, is_same
from collab.management.legacy_states import LegacyStates, VersionedObjects, named_storage
from collab.protocol.yjs.updates import read_state


class Command(ImportCommand):
    help = (
        "Import documents from a bucket of S3, with the versions of each object as the versions of"
        " its document. Documents that exist here already are left alone, and get only the versions"
        " that they lack, so it may be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--storage",
            metavar="ALIAS",
            default="default",
            help='a storage of STORAGES for S3, of django-storages (default: "default")',
        )
        super().add_arguments(parser)

    def open_source(self, **options: Any) -> VersionedObjects:
        storage = named_storage(options["storage"])
        if not hasattr(storage, "bucket"):
            raise CommandError(
                f'STORAGES["{options["storage"]}"] is not a bucket of S3. Import files without'
                " versions with: manage.py collab_import_hocuspocus --folder"
            )
        return VersionedObjects(storage, options["suffix"])

    def import_document(self, states: LegacyStates, source: str, name: str) -> bool:
        """Import a document and its versions: both or neither, if they are kept in a database."""
        assert isinstance(states, VersionedObjects)
        using = getattr(history_storage(), "using", None)
        with transaction.atomic(using) if using else nullcontext():
            is_new = super().import_document(states, source, name)
            self._import_versions(states, source, name)
        return is_new

    def _import_versions(self, states: VersionedObjects, source: str, name: str) -> None:
        """Add the versions that are later than those of the document."""
        newest = next(iter(history.versions(name, limit=1)), None)
        for version in states.versions(source):
            at = version.last_modified
            if newest is not None and at <= newest.at:
                continue
            update = read_state(version.get()["Body"].read())
            added = history.import_version(name, update, at)
            if not is_same(history.read(name, added.id), update):
                raise ValueError(f"The version of {at} differs from its source.")
