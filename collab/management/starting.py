"""The program ``startcollab``: a new project with a collaborative model, ready to be served.

In a project, ``manage.py startcollab`` adds an app with such a model.
"""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["APPS", "main", "write_app"]

#: Apps that a collaborative field needs in ``INSTALLED_APPS``.
APPS: Final = ("collab", "collab.editor", "collab_storage")
SETTINGS: Final = """

INSTALLED_APPS += [{apps}]
ASGI_APPLICATION = "{name}.asgi.application"

# Several writers take turns; PostgreSQL needs none of it.
DATABASES["default"]["OPTIONS"] = {{
    "init_command": "PRAGMA journal_mode=WAL",
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
}}
"""
MODELS: Final = """from django.db import models

from collab.editor import CollaborativeTextField


class Note(models.Model):
    title = models.CharField(max_length=100)
    body = CollaborativeTextField()

    def __str__(self):
        return self.title
"""
ADMIN: Final = """from django.contrib import admin

from collab.editor.admin import CollaborativeAdmin

from .models import Note

admin.site.register(Note, CollaborativeAdmin)
"""
ASGI: Final = """import os

from collab.asgi import get_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{name}.settings")

application = get_application()
"""
NEXT: Final = """The project is in {directory}. Go there, then:

    python manage.py createsuperuser
    python manage.py collab_serve

and open http://localhost:8000/admin/ in two browsers.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a project, its tables included."""
    parser = ArgumentParser("startcollab", description="Make a Django project with a shared text.")
    parser.add_argument("name", help="of the project, and of the package with its settings")
    parser.add_argument("directory", nargs="?", help="for the project; by default one of its name")
    options = parser.parse_args(arguments)
    name, directory = options.name, Path(options.directory or options.name)
    directory.mkdir(parents=True, exist_ok=True)
    _run("-m", "django", "startproject", name, ".", cwd=directory)
    package = directory / name
    with (package / "settings.py").open("a") as settings:
        apps = ", ".join(f'"{app}"' for app in [*APPS, name])
        settings.write(SETTINGS.format(apps=apps, name=name))
    write_app(package)
    (package / "asgi.py").write_text(ASGI.format(name=name))
    _run("manage.py", "makemigrations", name, cwd=directory)
    _run("manage.py", "migrate", "--verbosity", "0", cwd=directory)
    sys.stdout.write(NEXT.format(directory=directory))


def write_app(package: Path) -> None:
    """Write a collaborative model and its admin into an app."""
    (package / "models.py").write_text(MODELS)
    (package / "admin.py").write_text(ADMIN)


def _run(*arguments: str, cwd: Path) -> None:
    """Run Python; if it fails, end with its status, as it has said why."""
    # The settings of another project, if the shell has them.
    environment = {key: os.environ[key] for key in os.environ if key != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, *arguments]
    if status := subprocess.run(command, cwd=cwd, env=environment).returncode:
        sys.exit(status)
