from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.utils.module_loading import autodiscover_modules


class MirrorConfig(AppConfig):
    name = "collab.mirror"
    label = "collab_mirror"
    verbose_name = "Mirrored rows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Find the mirrors of all apps, in their modules ``mirrors``, and follow live rooms."""
        from collab.documents import rename_watchers
        from collab.documents.checks import check_app
        from collab.engine.hub.loader import room_watchers
        from collab.mirror.outgoing.signals import connect
        from collab.mirror.outgoing.writing import rename
        from collab.mirror.registry import mirrors
        from collab.mirror.watchers.room_watcher import watch

        from .checks import is_sound

        register(check_app, "collab")
        # Django calls this again in tests that override INSTALLED_APPS.
        if watch not in room_watchers:
            room_watchers.append(watch)
            rename_watchers.append(rename)
        autodiscover_modules("mirrors")
        for mirror in mirrors():
            # The others are reported by the system checks, better than by an error here.
            if is_sound(mirror):
                connect(mirror)
