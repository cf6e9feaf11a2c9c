from __future__ import annotations

import pytest
from django.apps import apps
from django.core.management import call_command

from collab_storage.models import Document, Update

pytestmark = pytest.mark.django_db


def test_the_migrations_are_complete() -> None:
    call_command("makemigrations", "collab_storage", check=True, dry_run=True, verbosity=0)


def test_the_tables_are_named_after_the_app() -> None:
    config = apps.get_app_config("collab_storage")
    assert config.verbose_name == "Collaborative documents"
    tables = [model._meta.db_table for model in (Document, Update)]
    assert tables == ["collab_storage_document", "collab_storage_update"]
