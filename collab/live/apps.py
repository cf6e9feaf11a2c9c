from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class LiveConfig(AppConfig):
    name = "collab.live"
    label = "collab_live"
    verbose_name = "Live channels"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Find states in the modules ``consumers`` of all apps, and what clients may watch.

        That is in the modules ``subscriptions``. States have to be known wherever rows are saved.
        """
        import_module("collab.live.checks")
        autodiscover_modules("consumers", "subscriptions")
