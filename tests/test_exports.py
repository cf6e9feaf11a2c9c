"""The names that each public module offers are those of its ``__all__``."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest

import collab
import collab_storage

#: Modules that Django loads by their names; nobody imports from them.
LOADED_BY_NAME = {"admin", "apps", "commands", "management", "migrations"}


def public_modules(package: ModuleType) -> Iterator[str]:
    """Yield the dotted names of the modules in ``package`` that others may import."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        parts = module.name.split(".")
        if not LOADED_BY_NAME.intersection(parts) and not parts[-1].startswith("_"):
            yield module.name


@pytest.mark.parametrize("name", [*public_modules(collab), *public_modules(collab_storage)])
def test_all_is_complete_and_sorted(name: str) -> None:
    module = import_module(name)
    exported = module.__all__
    assert [name for name in exported if not hasattr(module, name)] == []
    assert len(exported) == len(set(exported))
    assert exported == sorted(exported, key=lambda name: (_rank(name), name))


def _rank(name: str) -> int:
    """Constants first, then classes, then the rest, as ruff has it."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2
