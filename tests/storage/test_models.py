from __future__ import annotations

import pytest
from django.apps import apps
from django.core.management import call_command

from collab_storage.models import (
    Document,
    DocumentVersion,
    StoredDeletions,
    StoredRange,
    Update,
    VersionBlob,
)

pytestmark = pytest.mark.django_db


def test_the_migrations_are_complete() -> None:
    call_command("makemigrations", "collab_storage", check=True, dry_run=True, verbosity=0)


def test_the_tables_are_named_after_the_app() -> None:
    config = apps.get_app_config("collab_storage")
    assert config.verbose_name == "Collaborative documents"
    tables = [model._meta.db_table for model in (Document, Update)]
    assert tables == ["collab_storage_document", "collab_storage_update"]


def test_rows_of_histories_say_what_they_are() -> None:
    assert str(VersionBlob(document_id=7)) == "state of document 7"
    assert str(DocumentVersion(title="First", kind="named")) == "First"
    assert str(DocumentVersion(pk=3, kind="auto")) == "auto version 3"
    assert str(StoredRange(client=5, start=0, end=9)) == "insertions 0 to 9 of client 5"
    assert str(StoredDeletions(count=4)) == "4 deletions"
