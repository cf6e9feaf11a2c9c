"""The Django app that holds the tables of :class:`collab_storage.orm.ORMStorage`."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CollabStorageConfig(AppConfig):
    name = "collab_storage"
    label = "collab_storage"
    verbose_name = _("Collaborative documents")
    default_auto_field = "django.db.models.BigAutoField"
