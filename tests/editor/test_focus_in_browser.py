"""The focus is in the text as soon as a command has run: what is typed next belongs there."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import ALL_EDITORS, EDITORS, Visit, Writer
from .samples import PNG

pytestmark = pytest.mark.browser

#: Presses a button as the keyboard does, and answers a prompt.
HELPERS = """
  const shadow = element.shadowRoot;
  const button = (name) => shadow.querySelector(`button[aria-label="${name}"]`);
  const press = (name) => { button(name).focus(); button(name).click(); };
  const prompt = shadow.querySelector(".prompt");
  const answer = (text) => { prompt.querySelector("input").value = text; prompt.requestSubmit(); };
  const host = element.querySelector(".collab-surface");
  const text = (host.shadowRoot ?? host).querySelector("[role=textbox], textarea");
  const isFocused = () => text.getRootNode().activeElement === text;
"""


def has_the_focus_after(writer: Writer, script: str, kind: str = "rich") -> bool:
    """Run a script, and return whether the text has the focus before another task runs."""
    element = writer.page.locator(f'collab-editor[editor="{kind}"]')
    return bool(element.evaluate(f"(element) => {{ {HELPERS} {script}; return isFocused(); }}"))


@pytest.mark.parametrize("name", ["Bold", "Heading", "To-do list", "Align left", "Table"])
def test_a_button_leads_back_into_the_text_at_once(visit: Visit, name: str) -> None:
    ann = visit("/page/notes/focus?editor=rich", "Ann")
    ann.expect_state("saved")
    expect(ann.button(name)).to_be_visible()
    assert has_the_focus_after(ann, f"press('{name}')")
    ann.page.keyboard.type("at once")
    expect(ann.text).to_contain_text("at once")


def test_buttons_of_tables_and_of_undo_lead_back_into_the_text_at_once(visit: Visit) -> None:
    ann = visit("/page/notes/focus?editor=rich", "Ann")
    ann.expect_state("saved")
    ann.text.click()
    ann.button("Table").click()
    for name in ("Row below", "Undo", "Redo"):
        expect(ann.button(name)).to_be_enabled()
        assert has_the_focus_after(ann, f"press('{name}')")
    expect(ann.text.locator("tr")).to_have_count(4)


@pytest.mark.parametrize(
    "answer",
    ["answer('example.com')", "answer('')", "prompt.querySelector('[type=button]').click()"],
    ids=["answered", "empty", "cancelled"],
)
def test_a_prompt_that_closes_leads_back_into_the_text_at_once(visit: Visit, answer: str) -> None:
    ann = visit("/page/notes/focus?editor=rich", "Ann")
    ann.expect_state("saved")
    ann.text.click()
    ann.page.keyboard.type("at once ")
    assert has_the_focus_after(ann, f"press('Link'); {answer}")


def test_a_box_of_a_list_leads_back_into_the_text_at_once(visit: Visit) -> None:
    ann = visit("/page/notes/focus?editor=rich", "Ann")
    ann.expect_state("saved")
    ann.text.click()
    ann.button("To-do list").click()
    ann.page.keyboard.type("Sow")
    expect(ann.text.get_by_role("checkbox")).to_be_visible()
    assert has_the_focus_after(
        ann, "const [box] = text.getElementsByTagName('input'); box.focus(); box.click()"
    )
    expect(ann.text.get_by_role("checkbox")).to_be_checked()


def test_a_file_that_was_chosen_leads_back_into_the_text(visit: Visit) -> None:
    ann = visit("/page/notes/focus?editor=rich", "Ann")
    ann.expect_state("saved")
    expect(ann.button("Image")).to_be_visible()
    with ann.page.expect_file_chooser() as chosen:
        ann.button("Image").press("Enter")
    chosen.value.set_files({"name": "dot.png", "mimeType": "image/png", "buffer": PNG})
    expect(ann.text.locator("img[alt=dot]")).to_be_visible()
    expect(ann.text).to_be_focused()


def test_the_element_passes_the_focus_on_at_once(visit: Visit) -> None:
    ann = visit(f"/page/notes/focus?{ALL_EDITORS}", "Ann")
    for kind in EDITORS:
        expect(ann.text_of(kind)).to_be_visible()
        expect(ann.text_of(kind)).to_be_editable()
        assert has_the_focus_after(ann, "element.focus()", kind)
