"""Each text that is marked for translation is in the German catalogue of its app."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import override

from collab_storage.models import Document
from tests.harness.sources import parsed
from tests.samples import ROOT

FUNCTIONS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
EDITOR, STORAGE = ROOT / "collab" / "editor", ROOT / "storage" / "collab_storage"
HISTORY = ROOT / "collab" / "history"
OWN = ("collab_editor", "collab_storage")
#: Texts of templates, with the quotes around them.
TRANSLATED = re.compile(r"""\{% translate (['"])(.+?)\1 %\}""")
BLOCKS = re.compile(r"\{% blocktranslate.*?%\}(.+?)\{% endblocktranslate %\}", re.DOTALL)
#: Its pages extend those of Django's admin, and have words of it.
DJANGO = Path(admin.__file__).parent


class Missing(NullTranslations):
    """Raises for what a catalogue does not have."""

    def gettext(self, message: str) -> str:
        raise KeyError(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        raise KeyError(msgid1)


def marked_in(*folders: Path) -> Iterator[list[str]]:
    """Yield the texts that sources mark: one, or a singular and a plural."""
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(parsed(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            values = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            texts = [value for value in values if isinstance(value, str)]
            if name in FUNCTIONS and texts:
                yield texts


def marked_in_templates_of(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.html"):
        source = path.read_text("utf-8")
        yield from (text for _quote, text in TRANSLATED.findall(source))
        yield from (re.sub(r"\{\{ (\w+) \}\}", r"%(\1)s", text) for text in BLOCKS.findall(source))


def german_of(*apps: Path) -> GNUTranslations:
    """Return the German texts of apps; others raise."""
    catalogues = []
    for app in apps:
        with (app / "locale" / "de" / "LC_MESSAGES" / "django.mo").open("rb") as file:
            catalogues.append(GNUTranslations(file))
    first, *others = catalogues
    for catalogue in [*others, Missing()]:
        first.add_fallback(catalogue)
    return first


# The pages of collab.admin and collab.history are those of the storage's tables.
@pytest.mark.parametrize(
    ("app", "folders"),
    [(EDITOR, [EDITOR]), (STORAGE, [STORAGE, ROOT / "collab" / "admin", HISTORY])],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_no_marked_text_lacks_its_german(app: Path, folders: list[Path]) -> None:
    german = german_of(app)
    marked = list(marked_in(*folders))
    assert len(marked) > 10
    for texts in marked:
        text, *plural = texts
        assert german.ngettext(text, plural[0], 2) if plural else german.gettext(text)


def test_no_text_of_a_template_lacks_its_german() -> None:
    german = german_of(STORAGE, DJANGO)
    marked = list(marked_in_templates_of(STORAGE))
    assert len(marked) > 10
    assert all(german.gettext(text) for text in marked)


def test_the_catalogues_are_compiled_from_their_sources() -> None:
    for app in (EDITOR, STORAGE):
        source = (app / "locale" / "de" / "LC_MESSAGES" / "django.po").read_text("utf-8")
        german = german_of(app)
        for text, translated in re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', source, re.MULTILINE):
            assert german.gettext(unquoted(text)) == unquoted(translated)


def unquoted(text: str) -> str:
    return text.replace(r"\"", '"')


def labels() -> Iterator[Any]:
    """Yield the labels of our apps with texts, and of the tables and fields in the admin."""
    yield from (apps.get_app_config(label).verbose_name for label in OWN)
    for model, options in admin.site._registry.items():
        if model._meta.app_label not in OWN:
            continue
        yield from (model._meta.verbose_name, model._meta.verbose_name_plural)
        fields = {field.name: field for field in model._meta.fields}
        shown: Any = (*options.list_display, *options.readonly_fields)
        yield from (fields[name].verbose_name for name in shown if name in fields)
        yield from (
            getattr(options, name).short_description for name in shown if hasattr(options, name)
        )


def test_labels_in_the_admin_can_be_translated() -> None:
    found = list(labels())
    assert len(found) > 20
    assert [label for label in found if not isinstance(label, Promise)] == []


def test_a_german_page_of_the_admin_is_german(admin_client: Client) -> None:
    Document.objects.create(name="a", created_at=timezone.now(), updated_at=timezone.now())
    with override("de"):
        page = admin_client.get("/admin/collab_storage/")
        listed = admin_client.get("/admin/collab_storage/document/")
    for answer, texts in (
        (page, ["Gemeinsame Dokumente", "Dokumente", "Gescheiterte Änderungen"]),
        (listed, ["Name", "Letzte Änderung", "Größe"]),
    ):
        content = answer.content.decode()
        assert [text for text in texts if text not in content] == []
