from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.core.management.base import BaseCommand

from collab.management.starting import APPS, write_app

NEXT = """The app is in {directory}. Add to your settings:

    INSTALLED_APPS += [{apps}]

Then:

    python manage.py makemigrations {name}
    python manage.py migrate
    python manage.py collab_serve

and open /admin/ in two browsers.
"""


class Command(BaseCommand):
    help = "Add an app with a collaborative text and its admin to the project."
    missing_args_message = "Name the app, as in: manage.py startcollab notes"
    # The app is not installed yet, and the settings may be incomplete.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the app")
        parser.add_argument("directory", nargs="?", help="for the app; by default one of its name")

    def handle(self, *, name: str, directory: str | None, **options: Any) -> None:
        target = Path(directory or name)
        # As in `startapp`, a directory that is named must be there.
        call_command("startapp", name, *([directory] if directory else []))
        write_app(target)
        missing = [app for app in APPS if not apps.is_installed(app)]
        quoted = ", ".join(f'"{app}"' for app in [*missing, name])
        self.stdout.write(NEXT.format(directory=target, apps=quoted, name=name))
