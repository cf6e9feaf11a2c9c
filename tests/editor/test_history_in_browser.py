"""The versions of a document in ``<collab-editor>``, in Chromium, below a strict policy."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import EDITORS, Visit, added, pair
from .history_panel import (
    entry,
    expect_equal,
    expect_said,
    expect_value,
    keep,
    live,
    open_versions,
    panel,
    press,
    restore,
    shown,
    write,
)

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("kind", EDITORS)
def test_one_types_while_the_other_looks_at_versions_and_restores(visit: Visit, kind: str) -> None:
    path = f"/page/{'notes' if kind == 'rich' else 'texts'}/history?editor={kind}&history=1"
    ann, bob = pair(visit, path)
    write(ann, "First of Ann.")
    expect_value(bob, "First of Ann.")
    open_versions(bob)
    keep(bob, "Monday")
    entry(bob, "Monday").click()
    version = shown(bob).locator(".tiptap, textarea, .cm-content")
    if kind == "plain":
        expect(version).to_have_value("First of Ann.\n")
    else:
        expect(version).to_contain_text("First of Ann.")
    expect(live(bob)).to_be_hidden()
    # What is typed meanwhile comes into the text, and not into the version.
    write(ann, "Second of Ann.")
    expect_value(bob, "Second of Ann.")
    expect(version).not_to_contain_text("Second")
    press(bob, "Authors")
    expect(shown(bob).locator(".collab-author-0")).to_contain_text(["First of Ann."])
    expect(panel(bob).locator(".collab-history-legend")).to_contain_text("Ann (")
    press(bob, "Changes since then")
    expect(shown(bob).locator("ins").first).to_contain_text("Second of Ann.")
    press(bob, "Rename")
    name = panel(bob).locator("li").get_by_role("textbox", name="Name of this version")
    expect(name).to_be_focused()
    name.fill("Tuesday")
    bob.page.keyboard.press("Enter")
    expect_said(bob, "The name is saved.")
    expect(entry(bob, "Tuesday")).to_be_focused()
    entry(bob, "Tuesday").click()
    expect(live(bob)).to_be_visible()
    restore(bob, "Tuesday")
    for writer in (ann, bob):
        writer.page.wait_for_function(
            "() => !document.querySelector('collab-editor').value.includes('Second')"
        )
        expect(live(writer)).to_be_visible()
    write(ann, "Third of Ann.")
    expect_value(bob, "Third of Ann.")
    expect_equal(path, ann, bob)
    # Restoring what was before undoes it.
    restore(bob, "Before a restoration")
    expect_value(ann, "Second of Ann.")
    expect_value(bob, "Second of Ann.")
    expect_equal(path, ann, bob)


def test_readers_look_and_change_nothing(visit: Visit) -> None:
    path = "/page/read/history?history=1&editor=plain"
    ann = visit(f"{path}&access=write", "Ann")
    ann.expect_state("saved")
    write(ann, "Text")
    open_versions(ann)
    keep(ann, "Monday")
    reader = visit(path)
    reader.expect_state("reading")
    open_versions(reader)
    entry(reader, "Monday").click()
    expect(shown(reader).locator("textarea")).to_have_value("Text\n")
    for name in ("Restore", "Rename", "Keep this version"):
        button = panel(reader).get_by_role("button", name=name, exact=True)
        expect(button).to_have_count(0)


def test_a_page_grants_the_versions_to_every_user_that_has_it(visit: Visit) -> None:
    for granted, may_restore in {"read": False, "write": True}.items():
        writer = visit(f"/page/closed/{granted}?history=1&access={granted}&editor=plain", "Ann")
        writer.expect_state("saved" if may_restore else "reading")
        open_versions(writer)
        expect(panel(writer)).to_contain_text("There are no versions yet.")
        button = panel(writer).get_by_role("button", name="Keep this version")
        expect(button).to_be_visible() if may_restore else expect(button).to_be_hidden()
    write(writer, "Granted")
    keep(writer, "Mine")
    stranger = visit("/page/closed/write?history=1", "Bob")
    expect(stranger.editor).to_be_visible()
    expect(stranger.editor.get_by_role("button", name="Versions")).to_have_count(0)


def fail_with(page: Page, **answer: Any) -> None:
    """Answer requests about versions otherwise."""

    def respond(route: Route) -> None:
        route.fulfill(**answer)

    page.unroute("**/history/**")
    page.route("**/history/**", respond)


def test_failures_are_said_and_the_text_goes_on(visit: Visit) -> None:
    ann = visit("/page/own/failures?history=1&editor=plain", "Ann")
    ann.expect_state("saved")
    write(ann, "Text")
    open_versions(ann)
    keep(ann, "Monday")
    as_before = "The server has not answered as expected. Try again later."
    for answer, said in (
        ({"status": 500, "body": "<h1>Oops</h1>", "content_type": "text/html"}, as_before),
        ({"status": 200, "body": "<form>Log in</form>", "content_type": "text/html"}, as_before),
        ({"status": 200, "body": "{", "content_type": "application/json"}, as_before),
        ({"status": 200, "body": "junk", "content_type": "application/octet-stream"}, as_before),
        ({"status": 403, "json": {"detail": "No"}}, "You may not do this."),
        ({"status": 404, "json": {"detail": "No"}}, "There is no such version any more."),
    ):
        fail_with(ann.page, **answer)
        entry(ann, "Monday").click()
        expect_said(ann, said)
        entry(ann, "Monday").click()
    ann.page.unroute("**/history/**")
    ann.page.route("**/history/**", lambda route: route.abort())
    entry(ann, "Monday").click()
    expect_said(ann, "The server cannot be reached.")
    ann.page.unroute("**/history/**")
    ann.page.context.clear_cookies()
    press(ann, "Text")
    expect_said(ann, "Log in again to see the versions.")
    press(ann, "Close the versions")
    expect(panel(ann)).to_have_count(0)
    expect(ann.editor.get_by_role("button", name="Versions")).to_be_focused()
    write(ann, "More")
    expect_value(ann, "More")


def test_many_versions_come_in_pages(visit: Visit) -> None:
    ann = visit("/page/notes/many?history=1&editor=plain", "Ann")
    ann.expect_state("saved")
    write(ann, "Text")
    ann.open("/versions/410/notes/many")
    ann.open("/page/notes/many?history=1&editor=plain")
    ann.expect_state("saved")
    open_versions(ann)
    entries = panel(ann).locator("li")
    expect(entries).to_have_count(200)
    press(ann, "Show earlier versions")
    expect(entries).to_have_count(400)
    press(ann, "Show earlier versions")
    expect(entries).to_have_count(410)
    expect(panel(ann).get_by_role("button", name="Show earlier versions")).to_be_hidden()
    expect(entries.first).to_contain_text("Version 409")
    expect(entries.last).to_contain_text("Version 0")
    # A version of another page comes with the next reading, and the earlier ones stay.
    bob = visit("/versions/1/notes/many", "Bob")
    assert bob.page.locator("body").inner_text() == "1"
    ann.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(entries).to_have_count(411)


def test_the_keyboard_is_enough(visit: Visit) -> None:
    ann = visit("/page/notes/keys?history=1&editor=plain", "Ann")
    ann.expect_state("saved")
    write(ann, "Text")
    ann.open("/versions/2/notes/keys")
    ann.open("/page/notes/keys?history=1&editor=plain")
    ann.expect_state("saved")
    ann.editor.get_by_role("button", name="Versions").press("Enter")
    expect(panel(ann).get_by_role("button", name="Close the versions")).to_be_focused()
    entry(ann, "Version 1").focus()
    ann.page.keyboard.press("ArrowDown")
    expect(entry(ann, "Version 0")).to_be_focused()
    ann.page.keyboard.press("Enter")
    expect(shown(ann)).to_be_visible()
    expect(entry(ann, "Version 0")).to_have_attribute("aria-expanded", "true")
    expect(entry(ann, "Version 0")).to_be_focused()
    ann.page.keyboard.press("Tab")
    ann.page.keyboard.press("Escape")
    expect(shown(ann)).to_have_count(0)
    expect(entry(ann, "Version 0")).to_be_focused()
    ann.page.keyboard.press("Escape")
    expect(panel(ann)).to_have_count(0)
    expect(ann.editor.get_by_role("button", name="Versions")).to_be_focused()


def test_two_editors_of_a_page_have_panels_of_their_own(visit: Visit) -> None:
    ann = visit("/page/notes/two?editor=plain&editor=markdown&history=1", "Ann")
    ann.expect_state("saved")
    for number in (0, 1):
        editor = ann.page.locator("collab-editor").nth(number)
        editor.get_by_role("button", name="Versions", exact=True).click()
        expect(panel(ann, number)).to_contain_text("There are no versions yet.")
    live(ann).first.fill("Text")
    ann.expect_state("saved")
    keep(ann, "Both")
    ann.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    # What was said stays when the list is read again.
    expect(panel(ann)).to_have_attribute("aria-busy", "false")
    assert panel(ann).get_by_role("status").inner_text() == "This version is kept."
    for number in (0, 1):
        panel(ann, number).get_by_role("button", name=re.compile("Both")).click()
    expect(shown(ann)).to_have_count(2)
    ann.page.evaluate("document.querySelector('collab-editor').remove()")
    expect(shown(ann)).to_have_count(1)


def test_the_form_of_the_admin_has_the_versions_of_its_row(visit: Visit) -> None:
    form = added(visit, "/admin/texts/article/add/", {"Title": "First", "Body": "Hello"})
    root = visit(form, "Root")
    body = root.page.locator('collab-editor[field="body"]')
    expect(body).to_have_attribute("data-state", "saved")
    expect(root.page.locator("collab-editor[history-url]")).to_have_count(1)
    body.get_by_role("button", name="Versions", exact=True).click()
    versions = body.get_by_role("region", name="Versions")
    versions.get_by_role("textbox", name="Name of this version").fill("Monday")
    root.page.keyboard.press("Enter")
    # The key was for the panel, and not for the form around it.
    expect(versions.get_by_role("button", name=re.compile("Monday"))).to_be_visible()
    assert root.page.url.endswith("/change/")
    vera = visit(root.page.url.removeprefix(root.line.url), "Vera")
    readable = vera.page.locator('collab-editor[field="body"]')
    readable.get_by_role("button", name="Versions", exact=True).click()
    region = readable.get_by_role("region", name="Versions")
    region.get_by_role("button", name=re.compile("Monday")).click()
    expect(shown(vera)).to_contain_text("Hello")
    expect(region.get_by_role("button", name="Restore")).to_have_count(0)
