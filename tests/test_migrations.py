"""Models and migrations agree."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command

from collab_storage.models import Update
from collab_storage.orm import ORMStorage
from collab_storage.testing.material import entry


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=1)


@pytest.mark.django_db(transaction=True)
def test_updates_keep_their_ids_when_their_table_is_made_anew() -> None:
    def append(data: bytes) -> None:
        async_to_sync(ORMStorage().append)([entry(data=data)])

    def stored() -> dict[int, bytes]:
        return {update.pk: bytes(update.data) for update in Update.objects.all()}

    try:
        call_command("migrate", "collab_storage", "0007", verbosity=0)
        for data in (b"zero", b"one", b"two"):
            append(data)
        Update.objects.get(data=b"zero").delete()
        before = stored()
    finally:
        call_command("migrate", "collab_storage", verbosity=0)
    assert stored() == before
    append(b"three")
    assert stored() == {**before, max(before) + 1: b"three"}
