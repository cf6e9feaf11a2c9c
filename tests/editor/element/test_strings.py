"""The texts of the element are those that can be translated."""

from __future__ import annotations

import json
import re
from pathlib import Path

from django.utils.translation import override

from collab.editor.element.strings import STRINGS, catalogue
from collab.editor.rendering import editor_html

SOURCES = Path(__file__).parents[3] / "client-js/src/editor"


def test_each_text_is_in_the_element_and_each_of_the_element_can_be_translated() -> None:
    source = "".join(path.read_text("utf-8") for path in SOURCES.rglob("*.ts"))
    assert [text for text in STRINGS if f'"{text}"' not in source] == []
    labels = re.findall(r'(?:\bt\(|label: |heading\(\d, |align\("\w+", )\s*"([^"]+)"', source)
    assert sorted({*labels} - {*STRINGS}) == []
    assert len(labels) > 30


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
