"""The files that are made: one for each app, in which each declaration has its name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.core.management import CommandError

__all__ = ["HEADER", "File", "Files", "block", "camel", "literal", "property_name"]

#: The first line of each file, by which files that are not needed any more are known.
HEADER = '// Made by "manage.py makefrontend" from Python code: what is changed here gets lost.'

_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
#: The package that all files use; no app of a project has this name.
_PACKAGE = "collab"


def camel(name: str) -> str:
    """Return a name of Python as TypeScript has it: ``set_name`` as ``setName``."""
    first, *others = name.strip("_").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def literal(value: Any) -> str:
    """Return a value of JSON as it is written in TypeScript."""
    return json.dumps(value, ensure_ascii=False)


def property_name(name: str) -> str:
    """Return a key of an object, in quotes if it needs them."""
    return name if _IDENTIFIER.fullmatch(name) else literal(name)


def block(opening: str, lines: Iterable[str]) -> str:
    """Return lines in braces, after ``opening``."""
    inner = "".join(f"  {line}\n" if line else "\n" for line in lines)
    return f"{opening} {{\n{inner}}}" if inner else f"{opening} {{}}"


@dataclass
class File:
    """A file of TypeScript.

    Args:
        label: of the app.
    """

    label: str
    _declarations: dict[str, str] = field(default_factory=dict)
    _owners: dict[str, Any] = field(default_factory=dict)
    #: The apps whose files it needs.
    _uses: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """As it is called in the directory."""
        return f"{self.label}.ts"

    def declare(self, name: str, owner: Any, write: Callable[[], str]) -> None:
        """Have what ``write`` returns under a name, unless it is there already.

        Raises:
            CommandError: something else has the name.
        """
        if name not in self._owners:
            # Before it is written, as it may refer to itself.
            self._owners[name] = owner
            self._declarations[name] = write()
        elif self._owners[name] is not owner:
            raise CommandError(
                f"{_path(owner)} and {_path(self._owners[name])} would both be {name} in"
                f" {self.name}: rename one of them."
            )

    def refer(self, other: File, name: str) -> str:
        """Return what something in ``other`` is called here."""
        if other is self:
            return name
        self._uses.add(other.label)
        return f"{other.label}.{name}"

    @property
    def text(self) -> str:
        """What is in it."""
        imports = [f'import type * as {label} from "./{label}.js";' for label in sorted(self._uses)]
        declarations = [self._declarations[name] for name in sorted(self._declarations)]
        if any(f"{_PACKAGE}." in declaration for declaration in declarations):
            imports.insert(0, f'import * as {_PACKAGE} from "django-collab/live";')
        parts = [HEADER, *(["\n".join(imports)] if imports else []), *declarations]
        return "\n\n".join(parts) + "\n"


def _path(owner: type) -> str:
    return f"{owner.__module__}.{owner.__qualname__}"


class Files:
    """The files of a project."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}

    def __iter__(self) -> Iterator[File]:
        return iter(self._files.values())

    def of(self, owner: type) -> File:
        """Return the file for what a class stands for: that of its app."""
        config = apps.get_containing_app_config(owner.__module__)
        label = config.label if config else owner.__module__.rpartition(".")[0].rpartition(".")[2]
        label = re.sub(r"\W", "_", label or owner.__module__)
        return self._files.setdefault(label, File(label))
