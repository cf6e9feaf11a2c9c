"""Two people edit Markdown and code in the admin, in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.editor.conftest import Visit, added

pytestmark = pytest.mark.browser

SAVE = "Save and continue editing"


def text(page: Page) -> Locator:
    return page.locator("collab-editor").get_by_role("textbox")


def pair(visit: Visit, path: str, first: dict[str, str]) -> tuple[Page, Page]:
    """Return two people's pages with the change form of a row that one of them has added."""
    form = added(visit, path, first)
    root, rita = (visit(form, name).page for name in ("Root", "Rita"))
    for page in (root, rita):
        expect(page.locator("collab-editor")).to_have_attribute("data-state", "saved")
        expect(text(page)).to_be_visible()
    return root, rita


def write(page: Page, words: str) -> None:
    """Type at the end of the text."""
    text(page).click()
    page.keyboard.press("ControlOrMeta+End")
    page.keyboard.type(words)


def save(page: Page) -> None:
    """Save the form, and wait until it is there again."""
    with page.expect_navigation():
        page.get_by_role("button", name=SAVE).click()
    expect(page.get_by_role("list").get_by_text("was changed successfully")).to_be_visible()
    expect(page.locator("collab-editor")).to_have_attribute("data-state", "saved")
    expect(text(page)).to_be_visible()


def expect_value(page: Page, value: str) -> None:
    """Wait until the editor has this text; the view of it has the names at cursors, too."""
    script = "(value) => document.querySelector('collab-editor').value === value"
    page.wait_for_function(script, arg=value)


MARKDOWN = "# Good\n\nIt is *well* made"
CODE = "def f(x):\n    return x"


@pytest.mark.parametrize(
    ("path", "first", "shown"),
    [
        ("/admin/texts/review/add/", {"Title": "First", "Verdict": MARKDOWN}, MARKDOWN),
        ("/admin/texts/leaflet/add/", {"Text": CODE}, CODE),
    ],
    ids=["markdown", "code"],
)
def test_two_people_edit_one_form(
    visit: Visit, path: str, first: dict[str, str], shown: str
) -> None:
    root, rita = pair(visit, path, first)
    for page in (root, rita):
        expect_value(page, shown)
        # Each line is an element of its own.
        expect(text(page).locator(".cm-line")).to_have_count(shown.count("\n") + 1)
    write(root, " + 1")
    expect(rita.locator(".cm-collab-name")).to_have_count(1)
    expect_value(rita, f"{shown} + 1")
    write(rita, " # all")
    for page in (root, rita):
        expect_value(page, f"{shown} + 1 # all")
    for page in (root, rita):
        save(page)
        expect_value(page, f"{shown} + 1 # all")
    # A form that is sent takes nothing back that others have typed since it was opened.
    write(rita, " of it")
    save(root)
    for page in (root, rita):
        expect_value(page, f"{shown} + 1 # all of it")


def test_fields_of_a_row_share_one_document_and_one_connection(visit: Visit) -> None:
    root = visit("/admin/texts/article/add/", "Root").page
    root.get_by_label("Title").fill("First")
    sockets: list[str] = []
    root.on("websocket", lambda socket: sockets.append(socket.url))
    root.get_by_role("button", name=SAVE).click()
    root.wait_for_url("**/change/")
    body, summary = (root.locator(f'collab-editor[field="{name}"]') for name in ("body", "summary"))
    for element in (body, summary):
        expect(element).to_have_attribute("data-state", "saved")
        expect(element.get_by_role("textbox")).to_be_visible()
    assert body.get_attribute("name") == summary.get_attribute("name")
    assert len(sockets) == 1
    # What is typed into one of them is in that one.
    summary.get_by_role("textbox").press_sequentially("In short")
    expect(summary.get_by_role("textbox")).to_have_value("In short")
    expect(body.get_by_role("textbox")).to_have_text("")
