"""``<collab-editor>`` in languages other than English, in Chromium."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import FilePayload, expect

from collab.editor.element.strings import STRINGS

from .conftest import ALL_EDITORS, EDITORS, Visit, Writer

pytestmark = pytest.mark.browser

#: Puts an element into the page whose texts are all marked.
MARK = """(element, strings) => {
  const other = element.cloneNode(false);
  other.setAttribute("strings", strings);
  other.removeAttribute("label");
  other.removeAttribute("user-name");
  other.removeAttribute("data-state");
  element.replaceWith(other);
}"""

#: Whatever screen readers say of the element, and titles; the rest are letters and numbers.
READ = """(element) => {
  const found = [];
  const visit = (node) => {
    if (node.nodeType === Node.TEXT_NODE) found.push(node.textContent.trim());
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (node.localName === "style" || node.ariaHidden === "true") return;
    for (const name of ["title", "aria-label", "placeholder", "alt", "aria-description"]) {
      if (node.hasAttribute(name)) found.push(node.getAttribute(name));
    }
    [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes].forEach(visit);
  };
  visit(element);
  return found.filter(Boolean);
}"""


def expect_marked(writer: Writer) -> None:
    """Fail if an element has a text that is in no catalogue."""
    for element in writer.page.locator("collab-editor").all():
        found: list[str] = element.evaluate(READ)
        assert found
        assert [text for text in found if not text.startswith("«")] == []


def test_every_text_is_translated(visit: Visit) -> None:
    writer = visit(f"/page/notes/marked?{ALL_EDITORS}")
    marked = json.dumps({text: f"«{text}»" for text in STRINGS})
    for kind in EDITORS:
        writer.page.locator(f"[editor={kind}]").evaluate(MARK, marked)
        expect(writer.page.locator(f"[editor={kind}]")).to_have_attribute("data-state", "saved")
        expect(writer.text_of(kind)).to_be_visible()
    expect_marked(writer)
    writer.text.click()
    writer.button("«Table»").click()
    expect(writer.button("«Row below»")).to_be_visible()
    writer.button("«Link»").click()
    expect(writer.editor.get_by_label("«Address of the link»")).to_be_focused()
    writer.page.keyboard.type("javascript:x\n")
    writer.expect_notice("«Links lead")
    expect_marked(writer)
    writer.line.cut()
    writer.expect_state("offline")
    expect_marked(writer)


def test_a_german_page_has_a_german_editor(visit: Visit) -> None:
    writer = visit("/page/notes/german", locale="de")
    writer.expect_state("saved")
    expect(writer.button("Fett")).to_be_visible()
    expect(writer.editor.locator("output")).to_have_text("Gespeichert")
    expect(writer.editor.get_by_role("list", name="Wer ist hier")).to_contain_text("Gast")
    # What the server says is in its language.
    with writer.page.expect_file_chooser() as chosen:
        writer.button("Bild").click()
    chosen.value.set_files(FilePayload(name="a.txt", mimeType="text/plain", buffer=b"text"))
    writer.expect_notice("kein Bild")
