from __future__ import annotations

from django.apps import AppConfig, apps
from django.utils.module_loading import autodiscover_modules


class CollabConfig(AppConfig):
    name = "collab"
    verbose_name = "Collaboration"

    def ready(self) -> None:
        """Register the system checks and the document types of the project's apps."""
        from . import checks  # noqa: F401

        autodiscover_modules("documents")
        if apps.is_installed("collab_storage"):
            # The outbox is among its tables.
            from .documents.changes.recorder import start_recording

            start_recording()
