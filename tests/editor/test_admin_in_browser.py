"""Two people in one change form of the admin, in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.editor.conftest import Visit, Writer

pytestmark = pytest.mark.browser

CHANGE = "/admin/texts/article/1/change/"


def editor(page: Page, field: str) -> Locator:
    return page.locator(f'collab-editor[field="{field}"]').first


def text(page: Page, field: str) -> Locator:
    return editor(page, field).get_by_role("textbox")


def opened(visit: Visit, name: str, path: str = CHANGE) -> Page:
    """Open the form of the article, and wait until it is live."""
    page = visit(path, name).page
    expect(editor(page, "body")).to_have_attribute("data-state", "saved")
    return page


@pytest.fixture
def root(visit: Visit) -> Page:
    """The form of an article that was made in the admin just now."""
    writer: Writer = visit("/admin/texts/article/add/", "Root")
    page = writer.page
    page.get_by_label("Title").fill("First")
    page.get_by_label("Body").fill("Hello\n\nworld")
    page.locator("#id_sections-0-heading").fill("Inner")
    page.locator("#id_sections-0-text").fill("section")
    page.get_by_role("button", name="Save and continue editing").click()
    page.wait_for_url(f"**{CHANGE}")
    expect(text(page, "body")).to_have_text("Helloworld")
    return page


def test_two_people_edit_one_form(root: Page, visit: Visit) -> None:
    rita = opened(visit, "Rita")
    expect(root.get_by_text("Rita is here, too.")).to_be_visible()
    text(rita, "body").click()
    rita.keyboard.press("Control+End")
    rita.keyboard.type(", everybody")
    expect(text(root, "body")).to_contain_text("world, everybody")
    text(root, "summary").press_sequentially("In short")
    expect(text(rita, "summary")).to_have_value("In short")
    text(root, "text").press("Control+Home")
    text(root, "text").press_sequentially("My ")
    expect(text(rita, "text")).to_have_value("My section")


def test_fields_that_others_save_are_announced_and_merged(root: Page, visit: Visit) -> None:
    rita = opened(visit, "Rita")
    rita.get_by_label("Title").fill("Second")
    text(rita, "body").click()
    rita.keyboard.type("1 ")
    rita.get_by_role("button", name="Save and continue editing").click()
    rita.wait_for_url(f"**{CHANGE}")
    said = "Rita changed this to “Second” while the form was open."
    expect(root.get_by_text(said)).to_be_visible()
    root.get_by_label("Views").fill("7")
    root.get_by_role("button", name="Save and continue editing").click()
    expect(root.get_by_label("Title")).to_have_value("Second")
    expect(root.get_by_label("Views")).to_have_value("7")
    expect(text(root, "body")).to_contain_text("1")
    # Both change the same field.
    rita.get_by_label("Views").fill("8")
    rita.get_by_role("button", name="Save and continue editing").click()
    expect(rita.get_by_text("Save again to replace it.")).to_be_visible()
    rita.get_by_role("button", name="Save and continue editing").click()
    expect(rita.get_by_label("Views")).to_have_value("8")


def test_a_user_who_may_view_sees_what_others_type(root: Page, visit: Visit) -> None:
    vera = visit(CHANGE, "Vera").page
    expect(text(vera, "body")).to_contain_text("world")
    text(root, "body").click()
    root.keyboard.type("Oh, ")
    expect(text(vera, "body")).to_contain_text("Oh, ")
    expect(text(vera, "body")).to_have_attribute("contenteditable", "false")


def test_a_form_of_a_view_leaves_alone_what_others_type(root: Page, visit: Visit) -> None:
    rita = opened(visit, "Rita", "/form/1")
    rita.get_by_label("Title").fill("Third")
    text(root, "body").click()
    root.keyboard.type("Oh, ")
    expect(text(rita, "body")).to_contain_text("Oh, ")
    rita.get_by_role("button", name="Save").click()
    expect(rita.get_by_text("saved")).to_be_visible()
    root.reload()
    expect(root.get_by_label("Title")).to_have_value("Third")
    expect(text(root, "body")).to_contain_text("Oh, ")


def test_others_see_who_is_in_a_form_of_a_view(root: Page, visit: Visit) -> None:
    # The form does not know its user, and the connection does.
    rita = opened(visit, "Rita", "/form/1")
    assert editor(rita, "body").get_attribute("user-name") is None
    text(rita, "body").click()
    rita.keyboard.type("Oh, ")
    expect(editor(root, "body").get_by_role("list", name="Who is here")).to_contain_text("Rita")
    expect(text(root, "body").locator(".collaboration-carets__label")).to_have_text("Rita")
