"""The page of the example that shows the admin with two people in one form."""

from __future__ import annotations

import pytest
from playwright.sync_api import FrameLocator, Locator, expect

from .browsing import SMALL_PHONE, Enter, Visitor, expect_no_scroll

pytestmark = pytest.mark.browser


class Form:
    """The form of a user, in a frame."""

    def __init__(self, visitor: Visitor, name: str) -> None:
        self.frame: FrameLocator = visitor.page.frame_locator(f'[title="The form of {name}"]')
        self.editor = self.frame.locator("collab-editor")
        self.text = self.editor.get_by_role("textbox")
        self.people = self.editor.get_by_role("list", name="Who is here")

    def field(self, label: str) -> Locator:
        return self.frame.get_by_label(label)

    def save(self) -> None:
        self.frame.get_by_role("button", name="Save and continue editing").click()
        expect(self.frame.locator(".messagelist")).to_contain_text("was changed successfully")
        expect(self.editor).to_have_attribute("data-state", "saved")


def opened(visitor: Visitor) -> tuple[Form, Form]:
    """Open the page by its link, and wait until both forms are live."""
    visitor.page.get_by_role("link", name="Admin", exact=True).click()
    forms = Form(visitor, "Alice"), Form(visitor, "Bob")
    for form in forms:
        expect(form.editor).to_have_attribute("data-state", "saved")
        expect(form.text).to_contain_text("What went well")
    return forms


def test_two_people_are_in_one_form_of_the_admin(enter: Enter) -> None:
    visitor = enter("Carol")
    alice, bob = opened(visitor)
    for form, name, neighbour in ((alice, "Alice", "Bob"), (bob, "Bob", "Alice")):
        expect(form.frame.locator("#user-tools")).to_contain_text(name)
        expect(form.frame.get_by_text(f"{neighbour} is here, too.")).to_be_visible()
        expect(form.people.get_by_role("listitem")).to_have_count(2)
    typing = ((alice, bob, "Alice", "Cake"), (bob, alice, "Bob", "Music"))
    for form, other, name, word in typing:
        form.text.locator("p", has_text="What went well").click()
        caret = other.frame.locator(".collaboration-carets__caret")
        expect(caret).to_contain_text(name)
        form.text.press_sequentially(word)
        expect(other.text).to_contain_text(word)


def test_fields_that_one_saves_are_announced_to_the_other(enter: Enter) -> None:
    visitor = enter("Carol")
    alice, bob = opened(visitor)
    bob.field("Place").fill("The garden")
    bob.save()
    said = "Bob changed this to “The garden” while the form was open."
    expect(alice.frame.get_by_text(said)).to_be_visible()
    alice.field("Title").fill("Next year")
    alice.save()
    expect(alice.field("Place")).to_have_value("The garden")
    # The page itself is still Carol's.
    visitor.page.reload()
    expect(visitor.page.locator("header")).to_contain_text("Carol")


def test_frames_are_those_of_demo_users_only(enter: Enter) -> None:
    visitor = enter("Carol")
    visitor.go("/as/mallory/meetings/1/enter/")
    expect(visitor.page).to_have_url(f"{visitor.line.url}/as/mallory/login/")
    # Whose session the browser has is another matter.
    visitor.go("/as/mallory/admin/")
    expect(visitor.page.get_by_label("Password")).to_be_visible()
    visitor.go("/")
    expect(visitor.page.locator("header")).to_contain_text("Carol")


def test_the_page_is_no_wider_than_a_phone(enter: Enter) -> None:
    visitor = enter("Carol", viewport=SMALL_PHONE)
    opened(visitor)
    expect_no_scroll(visitor)
