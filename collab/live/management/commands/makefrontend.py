"""``manage.py makefrontend``: generate TypeScript for clients of the project's live channels."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from channels.routing import get_default_application
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import autoreload

from collab.conf import get_settings
from collab.live.typescript import typescript
from collab.live.typescript.files import HEADER

#: Contents of the directory's files by name.
Texts = Mapping[str, str]


class Command(BaseCommand):
    """Writes types and classes of all LiveConsumers that ``ASGI_APPLICATION`` routes to."""

    help = "Generate TypeScript for clients of the project's live channels: one file for each app."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--check",
            "--dry-run",
            action="store_true",
            help="write nothing; print the changes, and fail if there are any",
        )
        parser.add_argument(
            "--watch", action="store_true", help="write again whenever Python code changes"
        )
        parser.add_argument(
            "--force", action="store_true", help="overwrite files that were not generated"
        )
        parser.add_argument(
            "--quiet",
            action="store_const",
            const=0,
            dest="verbosity",
            help="do not list written files, as with --verbosity 0",
        )
        parser.add_argument(
            "--out", type=Path, help="the directory; by default the setting LIVE_FRONTEND_DIR"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        directory = Path(options["out"] or get_settings().LIVE_FRONTEND_DIR)
        self._is_quiet = options["verbosity"] == 0
        if options["check"]:
            self._check(directory)
        else:
            watched = partial(autoreload.run_with_reloader, self._write)
            write = watched if options["watch"] else self._write
            write(directory, options["force"])

    def _check(self, directory: Path) -> None:
        before, after = _there(directory), typescript(get_default_application())
        if differences := [*_differences(before, after)]:
            self.stdout.writelines(differences)
            raise CommandError("The TypeScript is out of date: run makefrontend.")

    def _write(self, directory: Path, force: bool) -> None:
        before, after = _there(directory), typescript(get_default_application())
        directory.mkdir(parents=True, exist_ok=True)
        for name in after.keys() - before.keys():
            if directory.joinpath(name).exists() and not force:
                raise CommandError(
                    f"{directory / name} was not generated: move it away, or use --force."
                )
        for name in before.keys() - after.keys():
            directory.joinpath(name).unlink()
            self._report(f"Deleted {directory / name}")
        for name in sorted(after):
            # Unchanged files are not touched, so that file watchers do nothing.
            if before.get(name) != after[name]:
                directory.joinpath(name).write_text(after[name], "utf-8")
                self._report(f"Wrote {directory / name}")

    def _report(self, text: str) -> None:
        if not self._is_quiet:
            self.stdout.write(text)


def _there(directory: Path) -> Texts:
    """Return the generated files in a directory."""
    texts = {path.name: path.read_text("utf-8") for path in directory.glob("*.ts")}
    return {name: text for name, text in texts.items() if text.startswith(HEADER)}


def _differences(before: Texts, after: Texts) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        one, other = (texts.get(name, "").splitlines(keepends=True) for texts in (before, after))
        yield from difflib.unified_diff(one, other, fromfile=name, tofile=name)
