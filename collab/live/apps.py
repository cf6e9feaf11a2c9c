from __future__ import annotations

from django.apps import AppConfig


class LiveConfig(AppConfig):
    name = "collab.live"
    label = "collab_live"
    verbose_name = "Live channels"
    default_auto_field = "django.db.models.BigAutoField"
