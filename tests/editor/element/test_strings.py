"""The texts of the element are those that can be translated."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from django.utils.translation import gettext, override

from collab.editor.element.strings import STRINGS, catalogue
from collab.editor.rendering import editor_html
from tests.harness.sources import parsed

EDITOR = Path(__file__).parents[3] / "collab/editor"
CLIENT = Path(__file__).parents[3] / "client-js/src"
PANEL = [*CLIENT.glob("history-*.ts")]
SOURCES = [*(CLIENT / "editor").rglob("*.ts"), *PANEL]


def test_each_text_is_in_the_element_and_each_of_the_element_can_be_translated() -> None:
    source = "".join(path.read_text("utf-8") for path in SOURCES)
    assert [text for text in STRINGS if f'"{text}"' not in source] == []
    called = r't\(|label: |heading\(\d, |align\("\w+", |button\("\w+", '
    labels = re.findall(rf'(?:\b(?:{called}))\s*"([^"]+)"', source)
    states = (CLIENT / "editor/status.ts").read_text("utf-8")
    labels += re.findall(r'^  \["\w+", "([^"]+)"\],$', source, re.MULTILINE)
    labels += re.findall(r'^  \w+: "([^"]+)",$', states, re.MULTILINE)
    for path in PANEL:
        # Whatever begins so is a text, but for the name of a key.
        labels += {*re.findall(r'"([A-Z][^"]+)"', path.read_text("utf-8"))} - {"Escape"}
    assert sorted({*labels} - {*STRINGS}) == []
    assert sorted({*STRINGS} - {*labels}) == []


def messages_of(path: Path) -> set[str]:
    """Return the texts that a module marks for translation."""
    nodes = ast.walk(parsed(path.read_text("utf-8")))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return {
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "_"
    }


def test_each_message_of_the_tag_and_of_uploads_is_german_in_a_german_site() -> None:
    modules = [
        EDITOR / "element" / "people.py",
        *EDITOR.glob("uploads/*.py"),
        *EDITOR.glob("templatetags/*"),
    ]
    messages = set().union(*(messages_of(path) for path in modules if path.suffix == ".py"))
    assert len(messages) > 5
    with override("de"):
        same = {text for text in messages if gettext(text) == text}
    assert same == set()


def test_english_pages_carry_no_catalogue() -> None:
    assert catalogue() == ""
    assert "strings=" not in editor_html("a")


def test_other_languages_have_their_words() -> None:
    with override("de"):
        words = json.loads(catalogue())
        assert "&quot;Bold&quot;: &quot;Fett&quot;" in editor_html("a")
    assert words["Undo"] == "Rückgängig"
    # The same word in both.
    assert {*STRINGS} - {*words} == {"Code", "Format", "Link", "Offline", "Text"}
