"""``<collab-editor>`` for screen readers and by the keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.harness.waiting import poll_until

from .conftest import ALL_EDITORS, EDITORS, Visit, Writer, added, pair
from .samples import PNG
from .test_in_browser import NODE_MODULES

pytestmark = pytest.mark.browser

#: Rules that axe counts as serious or critical, with all of its rules but those of taste.
AXE = """async () => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const rules = { "label-content-name-mismatch": { enabled: true } };
  // Style sheets are not fetched a second time: the policy forbids what axe does with them.
  const { violations, passes } = await axe.run({ runOnly: tags, rules, preload: false });
  return { violations, passes: passes.length };
}"""


HAS_FOCUS = "element => element.getRootNode().activeElement === element"


def serious(page: Page, within: str = "") -> list[str]:
    """Return what axe finds that is serious, in elements whose target names ``within``."""
    page.evaluate((NODE_MODULES / "axe-core/axe.js").read_text())
    result: dict[str, Any] = page.evaluate(AXE)
    assert result["passes"] > 10
    return [
        f"{violation['id']}: {node['html']} {node['failureSummary']}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
        if within in str(node["target"])
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_rich_text(visit: Visit, scheme: str) -> None:
    path = "/page/notes/19?placeholder=Write&mentions_url=/people"
    ann, bob = pair(visit, path, color_scheme=scheme)
    assert serious(ann.page) == []
    ann.text.click()
    ann.page.keyboard.type("@a")
    expect(ann.page.get_by_role("option")).to_have_count(2)
    assert serious(ann.page) == []
    ann.page.keyboard.press("Enter")
    expect(ann.text).to_contain_text("@Ann")
    ann.page.keyboard.press("Enter")
    ann.button("To-do list").click()
    ann.page.keyboard.type("Water\n\n")
    ann.button("Table").click()
    expect(ann.button("Row below")).to_be_visible()
    ann.upload("dot.png", "image/png", PNG)
    expect(ann.text.locator("img[alt=dot]")).to_be_visible()
    expect(bob.text.locator("img[alt=dot]")).to_be_visible()
    expect(bob.page.locator(".collaboration-carets__label")).to_have_text("Ann")
    ann.button("Link").click()
    for writer in (ann, bob):
        assert serious(writer.page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_text_and_code(visit: Visit, scheme: str) -> None:
    path = "/page/notes/20?editor=plain&editor=markdown&editor=code&language=python"
    ann, bob = pair(visit, f"{path}&placeholder=Write", color_scheme=scheme)
    assert serious(ann.page) == []
    for kind in ("plain", "markdown", "code"):
        ann.text_of(kind).click()
        ann.page.keyboard.type("# A heading\ndef f(x): return 'text' + 1 **strong** [a](b)")
        expect(bob.cursors(kind)).to_have_text("Ann")
        for writer in (ann, bob):
            assert serious(writer.page) == []


def test_axe_finds_nothing_serious_where_a_user_may_only_read(visit: Visit) -> None:
    reader = visit(f"/page/read/all?{ALL_EDITORS}")
    reader.expect_state("reading")
    for kind in EDITORS:
        expect(reader.text_of(kind)).to_be_visible()
    assert serious(reader.page) == []


def test_axe_finds_nothing_serious_in_the_editors_of_an_admin_form(visit: Visit) -> None:
    form = added(visit, "/admin/texts/article/add/", {"Title": "First", "Body": "Hello"})
    root = visit(form, "Root").page
    for field in ("body", "summary"):
        element = root.locator(f'collab-editor[field="{field}"]')
        expect(element).to_have_attribute("data-state", "saved")
        expect(element.get_by_role("textbox")).to_be_visible()
    assert serious(root, "collab-editor") == []


def press(writer: Writer, *keys: str) -> None:
    for key in keys:
        writer.page.keyboard.press(key)


def expect_toolbar(writer: Writer) -> None:
    """Wait until the focus is in the toolbar."""
    toolbar = writer.editor.get_by_role("toolbar", name="Format")
    expect(toolbar.locator(":focus")).to_have_count(1)


def choose(writer: Writer, name: str, asked: Locator | None = None) -> None:
    """Press a button of the toolbar, which leads back into the text, or to what it asks."""
    # In lists and tables Shift+Tab does something else, but not after Escape.
    press(writer, "Escape", "Shift+Tab")
    expect_toolbar(writer)
    press(writer, "Home")
    button = writer.button(name)
    for _ in range(30):
        if button.evaluate(HAS_FOCUS):
            break
        press(writer, "ArrowRight")
    expect(button).to_be_focused()
    press(writer, "Enter")
    expect(asked or writer.text).to_be_focused()


def test_the_keyboard_alone_is_enough_for_rich_text(visit: Visit) -> None:
    ann = visit("/page/notes/21", "Ann")
    ann.expect_state("saved")
    expect(ann.text).to_be_visible()
    press(ann, "Tab")
    expect_toolbar(ann)
    press(ann, "Tab")
    expect(ann.text).to_be_focused()
    choose(ann, "Heading")
    ann.page.keyboard.type("Title\n")
    expect(ann.text.locator("h2")).to_have_text("Title")
    choose(ann, "Bold")
    ann.page.keyboard.type("bold")
    expect(ann.text.locator("strong")).to_have_text("bold")
    choose(ann, "Bold")
    ann.page.keyboard.type(" ")
    choose(ann, "Link", ann.editor.get_by_label("Address of the link"))
    ann.page.keyboard.type("example.com\n")
    expect(ann.text).to_be_focused()
    expect(ann.text.locator("a")).to_have_attribute("href", "https://example.com")
    press(ann, "Enter")
    ann.page.keyboard.type("- one\ntwo")
    press(ann, "Tab")
    expect(ann.text.locator("li li")).to_have_text("two")
    press(ann, "Escape", "Shift+Tab")
    expect_toolbar(ann)
    press(ann, "Tab")
    expect(ann.text).to_be_focused()
    expect(ann.text.locator("li li")).to_have_text("two")
    # Out of the inner list, and out of the outer one.
    press(ann, "Enter", "Enter", "Enter")
    choose(ann, "Table")
    expect(ann.button("Row below")).to_be_visible()
    ann.page.keyboard.type("one")
    press(ann, "Tab")
    ann.page.keyboard.type("two")
    expect(ann.text.locator("th")).to_have_text(["one", "two", ""])
    # In a table Tab leads to the next cell, and out of the editor after Escape.
    press(ann, "Escape", "Tab")
    expect(ann.page.get_by_role("button", name="Send")).to_be_focused()


def leave(writer: Writer, kind: str) -> None:
    """Leave the text of an editor by Tab."""
    if kind != "code":
        press(writer, "Tab")
        return
    text = writer.text_of(kind)

    def has_left() -> bool:
        press(writer, "Escape", "Tab")
        return not text.evaluate(HAS_FOCUS)

    # In code Tab indents a line, but not in the two seconds after Escape.
    poll_until(has_left)


def test_the_keyboard_leads_through_all_kinds_of_editors(visit: Visit) -> None:
    ann = visit(f"/page/notes/22?{ALL_EDITORS}", "Ann")
    for kind in EDITORS:
        expect(ann.text_of(kind)).to_be_visible()
    ann.expect_state("saved")
    ann.text_of("rich").focus()
    for kind in EDITORS:
        expect(ann.text_of(kind)).to_be_focused()
        ann.page.keyboard.type("text")
        leave(ann, kind)
    send = ann.page.get_by_role("button", name="Send")
    expect(send).to_be_focused()
    press(ann, "Shift+Tab")
    expect(ann.text_of("code")).to_be_focused()
