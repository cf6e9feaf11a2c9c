"""The base of the app's commands: errors with advice, and progress."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import OperationalError, ProgrammingError

from collab.documents import exists
from collab_storage.exceptions import (
    DocumentCorrupt,
    DocumentNotFound,
    InvalidName,
    StorageUnavailable,
)

__all__ = ["DocumentsCommand", "human_size", "progress"]

T = TypeVar("T")

_BAR_WIDTH = 30


class DocumentsCommand(BaseCommand):
    """A command that works on stored documents."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command; an error of the storage is reported with advice."""
        try:
            self.run(**options)
        except DocumentNotFound as error:
            raise CommandError(f"{error} List them with: manage.py collab_documents") from error
        except (InvalidName, DocumentCorrupt) as error:
            raise CommandError(str(error)) from error
        except (StorageUnavailable, OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"{error}\nIs the storage running? If its tables are missing: manage.py migrate"
            ) from error

    def progress(self, items: Sequence[T], options: Mapping[str, Any]) -> Iterable[T]:
        """Yield ``items`` and show the progress, unless the command is silent."""
        return progress(items, self.stderr) if options["verbosity"] else items

    def check_names(self, names: list[str]) -> list[str]:
        """Return ``names``, all of which are stored.

        Raises:
            DocumentNotFound: one is not.
        """
        for name in names:
            if not exists(name):
                raise DocumentNotFound(f"There is no document {name!r}.")
        return names

    @abstractmethod
    def run(self, **options: Any) -> None:
        """Do the work of the command."""


def human_size(size: int | float) -> str:
    """Return a number of bytes in readable form."""
    units = ["B", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.1f} {units[0]}" if isinstance(size, float) else f"{size} {units[0]}"


def progress(items: Sequence[T], stream: OutputWrapper) -> Iterator[T]:
    """Yield ``items`` and write the progress: a bar on a terminal, else at most ten lines."""
    total, tenth = len(items), 0
    for done, item in enumerate(items):
        if stream.isatty():
            _draw(done, total, stream)
        elif done * 10 // total > tenth:
            tenth = done * 10 // total
            stream.write(f"{done} of {total}", str)
        yield item
    if stream.isatty() and total:
        _draw(total, total, stream)
        stream.write("", str, "\n")


def _draw(done: int, total: int, stream: OutputWrapper) -> None:
    full = _BAR_WIDTH * done // total
    bar = "#" * full + "." * (_BAR_WIDTH - full)
    stream.write(f"\r[{bar}] {done} of {total}", str, "")
    stream.flush()
