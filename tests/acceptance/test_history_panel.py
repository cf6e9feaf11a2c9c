"""The versions of a page of the example: one person types while another restores."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from .browsing import PHONE, Enter, Visitor, expect_no_scroll

pytestmark = pytest.mark.browser


def panel(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("region", name="Versions")


def press(visitor: Visitor, name: str) -> None:
    panel(visitor).get_by_role("button", name=name, exact=True).click()


def expect_said(visitor: Visitor, text: str) -> None:
    expect(panel(visitor).get_by_role("status")).to_contain_text(text)


def test_a_page_is_restored_while_another_person_types(enter: Enter) -> None:
    alice, bob = enter("Alice"), enter("Bob", viewport=PHONE)
    for visitor in (alice, bob):
        visitor.open_page("Welcome")
    alice.click_end_of("All users who open")
    alice.write(" Monday.")
    bob.expect_written("Monday.")
    bob.page.get_by_role("button", name="Versions", exact=True).click()
    panel(bob).get_by_role("textbox", name="Name of this version").fill("On Monday")
    press(bob, "Keep this version")
    expect_said(bob, "This version is kept.")
    alice.write(" Tuesday.")
    bob.expect_written("Tuesday.")
    panel(bob).get_by_role("button", name=re.compile("On Monday")).click()
    expect(bob.page.locator(".collab-version")).to_contain_text("Monday.")
    expect(bob.page.locator(".collab-version")).not_to_contain_text("Tuesday.")
    expect_no_scroll(bob)
    # What Alice types meanwhile comes to the server after the restoration.
    alice.line.cut()
    alice.expect_status("offline")
    alice.click_end_of("Type in both at once")
    alice.write(" Meanwhile.")
    press(bob, "Restore")
    press(bob, "Restore this version")
    expect_said(bob, "The version is restored.")
    alice.line.mend()
    for visitor in (alice, bob):
        visitor.expect_written("Monday.", "Meanwhile.")
        expect(visitor.text).not_to_contain_text("Tuesday.")
        visitor.expect_status("saved")
    assert alice.html == bob.html
    assert alice.errors == bob.errors == []
