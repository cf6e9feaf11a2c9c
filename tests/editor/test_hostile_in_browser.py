"""Hostile members, documents and pages do no harm to ``<collab-editor>``."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import ALL_EDITORS, EDITORS, Visit, pair

pytestmark = pytest.mark.browser

SPOOF = """(element) => element.connection.awareness.setLocalStateField("user", {
  name: "<img src=x onerror=alert(1)>\\u202e" + "x".repeat(500),
  color: "red;background:url(https://example.org/track)",
  id: { toString: () => "x" },
})"""

#: Presence as no editor has it.
STATES = [
    {"cursor": 5},
    {"cursor": {"anchor": "x", "head": None}},
    {"cursor": {"anchor": {"type": {"client": "x", "clock": -1}}, "head": {"item": 7}}},
    {"cursor": {"anchor": {"tname": "other"}, "head": {"tname": "other", "assoc": "x"}}},
    {"cursor": {"anchor": {"item": {"client": 1, "clock": 2**53}}, "head": {}}},
    {"user": None, "cursor": None},
    {"user": "text", "cursor": []},
    {"user": {"name": {"a": 1}, "color": ["#fff"]}},
]

HAS_STATE = """(wanted) => {
  const { awareness } = document.querySelector("collab-editor").connection;
  return [...awareness.getStates().values()].some((state) => Object.entries(wanted).every(
    ([key, value]) => JSON.stringify(state[key]) === JSON.stringify(value)));
}"""
CONTAINS = """([kind, word]) =>
  document.querySelector(`[editor="${kind}"]`).value.includes(word)
"""


def test_names_and_colours_of_others_are_text(visit: Visit) -> None:
    ann, bob = pair(visit, f"/page/notes/spoof?{ALL_EDITORS}")
    bob.editor.evaluate(SPOOF)
    for kind in EDITORS:
        bob.text_of(kind).click()
        bob.page.keyboard.type("x")
        label = ann.cursors(kind)
        expect(label).to_contain_text("<img src=x onerror=alert(1)>")
        text, styles = label.evaluate(
            "label => [label.textContent, label.style.cssText + label.parentElement.style.cssText]"
        )
        assert len(text) <= 60
        assert "\u202e" not in text
        assert "url" not in styles
        expect(ann.page.locator("img[onerror]")).to_have_count(0)


def test_presence_of_any_form_hinders_no_other(visit: Visit) -> None:
    path = f"/page/notes/states?{ALL_EDITORS}"
    ann, bob = pair(visit, path)
    for kind in EDITORS:
        expect(ann.text_of(kind)).to_be_visible()
        expect(bob.text_of(kind)).to_be_visible()
    mallory = visit("/page/notes/states?editor=plain")
    mallory.expect_state("saved")
    # Without the editor, which would show and replace the state itself.
    mallory.editor.evaluate(
        """(element) => {
          window.connection = element.connection.use();
          element.remove();
        }"""
    )
    for number, state in enumerate(STATES):
        mallory.page.evaluate("(state) => connection.awareness.setLocalState(state)", state)
        for writer in (ann, bob):
            writer.page.wait_for_function(HAS_STATE, arg=state)
        for kind in EDITORS:
            ann.text_of(kind).press_sequentially(f"a{number}")
            bob.page.wait_for_function(CONTAINS, arg=[kind, f"a{number}"])


def test_a_hostile_document_runs_nothing(visit: Visit) -> None:
    ann = visit("/page/notes/hostile", "Ann")
    ann.expect_state("saved")
    expect(ann.text).to_contain_text("link javascript:alert(1)")
    expect(ann.text.locator('span[data-type="mention"]')).to_have_count(2)
    plain = visit("/page/notes/hostile", java_script_enabled=False)
    expect(plain.page.get_by_text("link javascript:alert(1)")).to_be_visible()
    for writer in (ann, plain):
        page = writer.page
        expect(page.locator(":is([onerror], [onload])")).to_have_count(0)
        for link in page.locator("collab-editor a").all():
            assert link.get_attribute("href") in (None, "", "#")
        assert page.locator("script").count() == 1


def test_a_link_is_not_made_of_an_address_that_runs(visit: Visit) -> None:
    ann = visit("/page/notes/links", "Ann")
    ann.expect_state("saved")
    ann.text.click()
    for address in ("javascript:alert(1)", "data:text/html,x", " JaVaScRiPt:alert(1)"):
        ann.button("Link").click()
        ann.page.keyboard.type(f"{address}\n")
        ann.expect_notice("Links lead to websites")
    expect(ann.text.locator("a")).to_have_count(0)


def test_a_grant_of_another_document_opens_nothing(visit: Visit) -> None:
    granted = visit("/page/closed/15?access=write")
    granted.expect_state("saved")
    token = granted.editor.get_attribute("token") or ""
    for number, offered in enumerate([token, token[:-1], f"{token}x", "none"]):
        stranger = visit(f"/page/closed/other{number}")
        stranger.expect_state("closed")
        stranger.editor.evaluate(
            """(element, token) => {
              const other = element.cloneNode(false);
              other.setAttribute("token", token);
              other.removeAttribute("data-state");
              element.replaceWith(other);
            }""",
            offered,
        )
        stranger.expect_state("closed")
        expect(stranger.editor.get_by_role("textbox")).to_have_count(0)
