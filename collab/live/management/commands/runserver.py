"""``manage.py runserver --makefrontend``: generate TypeScript whenever the server starts again."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import apps
from django.core.management import CommandParser, call_command

#: Apps with a runserver, the preferred first; without them, it is Django's own.
_APPS = ("daphne", "django.contrib.staticfiles")


def _base() -> Any:
    app = next((name for name in _APPS if apps.is_installed(name)), "django.core")
    return import_module(f"{app}.management.commands.runserver").Command


class Command(_base()):  # type: ignore[misc]  # Chosen at run time.
    """The project's runserver, with the switch ``--makefrontend``."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--makefrontend",
            action="store_true",
            help="run makefrontend at each start, and so whenever Python code changes",
        )

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Generate TypeScript if asked for, and serve."""
        if options["makefrontend"]:
            call_command("makefrontend", stdout=self.stdout)
        super().inner_run(*args, **options)
