from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.core.checks import register
from django.utils.module_loading import autodiscover_modules


class LiveConfig(AppConfig):
    name = "collab.live"
    label = "collab_live"
    verbose_name = "Live channels"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import the modules ``consumers``, ``live`` and ``subscriptions`` of all apps.

        They declare states, which every process that saves rows needs, and subscriptions.
        """
        from collab.documents.checks import check_app

        register(check_app, "collab")
        import_module("collab.live.peer_checks")
        if apps.is_installed("collab.mirror"):
            import_module("collab.live.checks")
        autodiscover_modules("consumers", "live", "subscriptions")
        # For watches that were added before all models were loaded.
        import_module("collab.mirror.row_signals").connect_all()
