"""Each text that is marked for translation is in the German catalogue of its app."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

import pytest

from tests.samples import ROOT

FUNCTIONS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
EDITOR, STORAGE = ROOT / "collab" / "editor", ROOT / "storage" / "collab_storage"


class Missing(NullTranslations):
    """Raises for what a catalogue does not have."""

    def gettext(self, message: str) -> str:
        raise KeyError(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        raise KeyError(msgid1)


def marked_in(*folders: Path) -> Iterator[list[str]]:
    """Yield the texts that sources mark: one, or a singular and a plural."""
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            values = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            texts = [value for value in values if isinstance(value, str)]
            if name in FUNCTIONS and texts:
                yield texts


# The pages of collab.admin are those of the storage's tables.
@pytest.mark.parametrize(
    ("app", "folders"),
    [(EDITOR, [EDITOR]), (STORAGE, [STORAGE, ROOT / "collab" / "admin"])],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_no_marked_text_lacks_its_german(app: Path, folders: list[Path]) -> None:
    catalogue = app / "locale" / "de" / "LC_MESSAGES"
    with (catalogue / "django.mo").open("rb") as file:
        german = GNUTranslations(file)
    german.add_fallback(Missing())
    marked = list(marked_in(*folders))
    assert len(marked) > 10
    for texts in marked:
        text, *plural = texts
        assert german.ngettext(text, plural[0], 2) if plural else german.gettext(text)
