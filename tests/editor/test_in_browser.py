"""``<collab-editor>`` in Chromium, below a policy without inline scripts and styles."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import Visit

pytestmark = pytest.mark.browser


def test_two_users_write_rich_text(visit: Visit) -> None:
    ann, bob = visit("/page/notes/5", "Ann"), visit("/page/notes/5", "Bob")
    for writer in (ann, bob):
        writer.expect_state("saved")
    ann.text.click()
    ann.page.keyboard.type("Hello ")
    expect(bob.text).to_contain_text("Hello")
    expect(bob.page.locator(".collaboration-carets__label")).to_have_text("Ann")
    expect(bob.editor.get_by_role("list", name="Who is here")).to_contain_text("Ann")


def test_two_users_write_plain_text(visit: Visit) -> None:
    ann, bob = visit("/page/notes/6?editor=plain", "Ann"), visit("/page/notes/6?editor=plain")
    for writer in (ann, bob):
        writer.expect_state("saved")
    ann.text.press_sequentially("Hello")
    expect(bob.text).to_have_value("Hello")
    ann.expect_state("saved")


@pytest.mark.parametrize("options", ["editor=code&language=python", "editor=markdown"])
def test_two_users_write_code_and_markdown(visit: Visit, options: str) -> None:
    ann, bob = visit(f"/page/notes/7?{options}", "Ann"), visit(f"/page/notes/7?{options}", "Bob")
    for writer in (ann, bob):
        writer.expect_state("saved")
    ann.text.click()
    ann.page.keyboard.type("# def")
    expect(bob.text).to_contain_text("# def")
    expect(bob.page.locator(".cm-collab-name")).to_have_text("Ann")
    bob.text.click()
    bob.page.keyboard.press("End")
    bob.page.keyboard.type("!")
    expect(ann.text).to_contain_text("# def!")
    ann.page.keyboard.press("ControlOrMeta+z")
    expect(bob.text).not_to_contain_text("# def")
    expect(bob.text).to_contain_text("!")
