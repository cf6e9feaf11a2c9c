from __future__ import annotations

from django.apps import AppConfig, apps
from django.core.checks import register
from django.utils.module_loading import autodiscover_modules


class CollabConfig(AppConfig):
    name = "collab"
    verbose_name = "Collaboration"

    def ready(self) -> None:
        """Register the system checks and the document types of the project's apps."""
        from . import checks as checks
        from .documents.checks import check_document_types
        from .documents.policy import find_type_rules
        from .engine.rules import find_rules

        register(check_document_types, "collab")
        autodiscover_modules("documents")
        if find_type_rules not in find_rules:
            find_rules.append(find_type_rules)
        if apps.is_installed("django.contrib.auth"):
            from .engine.serving.logouts import connect_signals

            connect_signals()
        if apps.is_installed("collab_storage"):
            # The queue of events is among its tables.
            from .documents.changes.recorder import start_recording
            from .history.keeping.automatic import start_keeping

            start_recording()
            start_keeping()
