"""The panel of versions for every user: other colours, directions, sizes and languages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from .conftest import Visit, Writer
from .history_panel import entry, expect_said, keep, live, open_versions, panel, press, shown, write
from .test_accessibility import serious

pytestmark = pytest.mark.browser

ATTACK = "<img src=x onerror=alert(1)>"
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}


def expect_narrow(writer: Writer) -> None:
    """Fail if the page has to be scrolled sideways."""
    wide, inner = writer.page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide <= inner


@pytest.mark.parametrize(
    ("scheme", "viewport", "locale"),
    [
        ("light", PHONE, "en"),
        ("dark", PHONE, "ar"),
        ("dark", DESKTOP, "de"),
        ("light", DESKTOP, "ar"),
    ],
    ids=["light-phone", "dark-phone-arabic", "dark-desktop-german", "light-desktop-arabic"],
)
def test_axe_finds_nothing_serious_in_the_versions(
    visit: Visit, scheme: str, viewport: dict[str, int], locale: str
) -> None:
    words = {
        "de": ("Versionen", "Autoren", "Änderungen seither", "Wiederherstellen"),
    }.get(locale, ("Versions", "Authors", "Changes since then", "Restore"))
    versions, authors, changes, restore = words
    path = "/page/notes/everybody?editor=rich&history=1"
    ann = visit(path, "Ann", color_scheme=scheme, viewport=viewport, locale=locale)
    ann.expect_state("saved")
    write(ann, "Hello")
    ann.open("/versions/2/notes/everybody")
    ann.open(path)
    ann.expect_state("saved")
    direction = ann.page.locator("html").get_attribute("dir")
    assert direction == ("rtl" if locale == "ar" else "ltr")
    ann.button(versions).click()
    region = ann.editor.get_by_role("region", name=versions)
    expect(region.get_by_role("listitem")).to_have_count(2)
    assert serious(ann.page) == []
    region.get_by_role("button", name=re.compile("Version 1")).click()
    expect(shown(ann)).to_contain_text("Hello")
    region.get_by_role("button", name=authors).click()
    expect(shown(ann).locator(".collab-author-0")).to_have_text("Hello")
    region.get_by_role("button", name=restore).click()
    expect(region.locator("li form")).to_be_visible()
    assert serious(ann.page) == []
    expect_narrow(ann)
    region.get_by_role("button", name=changes).click()
    expect(shown(ann).locator(".collab-changes")).to_contain_text("Hello")
    assert serious(ann.page) == []
    expect_narrow(ann)
    if locale == "de":
        found = region.inner_text()
        assert not re.search(r"\b(Restore|Name of|Keep|Text as|Before|Changes)\b", found)


def test_names_and_titles_are_text(visit: Visit) -> None:
    path = "/page/notes/attack?editor=rich&history=1"
    ann = visit(path, "Ann")
    ann.open(f"/enter/{ATTACK}")
    ann.open(path)
    ann.expect_state("saved")
    write(ann, ATTACK)
    open_versions(ann)
    keep(ann, ATTACK)
    expect(panel(ann).locator(".collab-history-title").first).to_have_text(ATTACK)
    expect(panel(ann).locator(".collab-history-people").first).to_have_text(ATTACK)
    entry(ann, ATTACK).click()
    expect(shown(ann)).to_contain_text(ATTACK)
    press(ann, "Authors")
    expect(panel(ann).locator(".collab-history-legend")).to_contain_text(ATTACK)
    press(ann, "Changes since then")
    expect(shown(ann).locator(".collab-changes")).to_contain_text(ATTACK)
    press(ann, "Rename")
    title = panel(ann).locator("li").get_by_role("textbox", name="Name of this version")
    expect(title).to_have_value(ATTACK)
    assert ann.page.locator("[onerror]").count() == 0
    title.fill(f"{ATTACK} again")
    press(ann, "Save")
    expect_said(ann, "The name is saved.")
    press(ann, "Restore")
    expect(panel(ann).get_by_text(re.compile("^Restore the version of"))).to_be_visible()
    assert ann.page.locator("[onerror]").count() == 0


class Held:
    """Requests of a page that get no answer before they are let go."""

    def __init__(self, writer: Writer, pattern: str, method: str) -> None:
        self.routes: list[Route] = []
        self._writer = writer
        self._pattern = pattern
        self._method = method
        writer.page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        if route.request.method == self._method:
            self.routes.append(route)
        else:
            route.continue_()

    def expect(self, count: int) -> None:
        """Wait until so many requests have come."""
        while len(self.routes) < count:
            # Lets the browser's events in.
            self._writer.page.evaluate("0")

    def let_go(self, index: int, **answer: Any) -> None:
        """Answer a request: by the server, or otherwise."""
        if answer:
            self.routes[index].fulfill(**answer)
        else:
            self.routes[index].continue_()


def with_two_versions(visit: Visit) -> Writer:
    ann = visit("/page/notes/slow?history=1&editor=rich", "Ann")
    ann.expect_state("saved")
    open_versions(ann)
    for title in ("One", "Two"):
        write(ann, title)
        keep(ann, title)
    return ann


def test_a_slow_answer_does_not_replace_a_later_one(visit: Visit) -> None:
    ann = with_two_versions(visit)
    held = Held(ann, "**/state", "GET")
    entry(ann, "One").click()
    expect_said(ann, "Loading…")
    held.expect(1)
    entry(ann, "Two").click()
    held.expect(2)
    held.let_go(1)
    expect(shown(ann)).to_contain_text("Two")
    with ann.page.expect_response("**/state"):
        held.let_go(0)
    expect_said(ann, "")
    expect(shown(ann)).to_contain_text("Two")
    expect(entry(ann, "Two")).to_have_attribute("aria-expanded", "true")


def test_the_text_can_be_edited_while_an_answer_is_awaited(visit: Visit) -> None:
    ann = with_two_versions(visit)
    held = Held(ann, "**/diff?*", "GET")
    entry(ann, "One").click()
    expect(shown(ann)).to_contain_text("One")
    press(ann, "Changes since then")
    held.expect(1)
    expect_said(ann, "Loading…")
    expect(panel(ann)).to_have_attribute("aria-busy", "true")
    # The panel can be closed, and what comes then is shown no more.
    press(ann, "Close the versions")
    expect(panel(ann)).to_have_count(0)
    write(ann, "Three")
    with ann.page.expect_response("**/diff?*"):
        held.let_go(0)
    open_versions(ann)
    entry(ann, "One").click()
    expect(shown(ann)).to_have_count(1)
    expect(shown(ann)).to_contain_text("One")
    expect(shown(ann)).not_to_contain_text("Two")
    expect(live(ann)).to_be_hidden()


def test_a_restoration_that_fails_is_said_and_can_be_repeated(visit: Visit) -> None:
    ann = with_two_versions(visit)
    held = Held(ann, "**/restore", "POST")
    entry(ann, "One").click()
    press(ann, "Restore")
    press(ann, "Restore this version")
    held.expect(1)
    expect_said(ann, "Saving…")
    button = panel(ann).get_by_role("button", name="Restore this version")
    # Another click must not restore twice.
    expect(button).to_be_disabled()
    held.let_go(0, status=503, json={"detail": "Busy"})
    expect_said(ann, "The server has not answered as expected. Try again later.")
    expect(button).to_be_enabled()
    expect(live(ann)).to_contain_text("Two")
    button.click()
    held.expect(2)
    held.let_go(1)
    expect_said(ann, "The version is restored. The text as it was before is kept as a version.")
    expect(live(ann)).not_to_contain_text("Two")
    expect(live(ann)).to_contain_text("One")


def test_a_list_that_fails_is_said_and_comes_with_the_next_reading(visit: Visit) -> None:
    ann = with_two_versions(visit)
    press(ann, "Close the versions")
    ann.page.route("**/versions/", lambda route: route.fulfill(status=500, body="Oops"))
    open_versions(ann)
    expect_said(ann, "The server has not answered as expected. Try again later.")
    ann.page.unroute("**/versions/")
    ann.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(entry(ann, "One")).to_be_visible()
    expect_said(ann, "")
