from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class MirrorConfig(AppConfig):
    name = "collab.mirror"
    label = "collab_mirror"
    verbose_name = "Mirrored rows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Find the mirrors of all apps, in their modules ``mirrors``, and follow live rooms."""
        from collab.documents import rename_watchers
        from collab.hub import room_watchers

        from .checks import is_sound
        from .collecting import connect
        from .options import mirrors
        from .returning import watch as watch_returning
        from .watching import watch
        from .writing import rename

        room_watchers.extend([watch, watch_returning])
        rename_watchers.append(rename)
        autodiscover_modules("mirrors")
        for mirror in mirrors():
            # Of what is wrong about others the checks tell, better than an error here would.
            if is_sound(mirror):
                connect(mirror)
