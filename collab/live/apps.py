from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class LiveConfig(AppConfig):
    name = "collab.live"
    label = "collab_live"
    verbose_name = "Live channels"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Find what clients may watch, in the modules ``subscriptions`` of all apps."""
        autodiscover_modules("subscriptions")
