"""Two people in one change form of the admin, in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.editor.conftest import Visit, Writer, click_end_of

pytestmark = pytest.mark.browser

CHANGE = "/admin/texts/article/1/change/"


def editor(page: Page, field: str) -> Locator:
    return page.locator(f'collab-editor[field="{field}"]').first


def text(page: Page, field: str) -> Locator:
    """The editor of a text; not the text area that is there before it."""
    return editor(page, field).locator(".collab-surface").get_by_role("textbox")


def write(page: Page, field: str, words: str) -> None:
    """Type into the text of a row that is not stored yet, once its editor is there."""
    text(page, field).click()
    expect(text(page, field)).to_be_focused()
    page.keyboard.type(words)


def opened(visit: Visit, name: str, path: str = CHANGE) -> Page:
    """Open the form of the article, and wait until it is live."""
    page = visit(path, name).page
    expect(editor(page, "body")).to_have_attribute("data-state", "saved")
    return page


def save(page: Page, name: str = "Save and continue editing") -> None:
    """Send the form, and wait until the page that answers is there."""
    with page.expect_navigation():
        page.get_by_role("button", name=name).click()


@pytest.fixture
def root(visit: Visit) -> Page:
    """The form of an article that was made in the admin just now."""
    writer: Writer = visit("/admin/texts/article/add/", "Root")
    page = writer.page
    page.get_by_label("Title").fill("First")
    write(page, "body", "Hello\nworld")
    page.locator("#id_sections-0-heading").fill("Inner")
    write(page, "text", "section")
    page.get_by_role("button", name="Save and continue editing").click()
    page.wait_for_url(f"**{CHANGE}")
    expect(text(page, "body")).to_have_text("Helloworld")
    return page


def test_two_people_edit_one_form(root: Page, visit: Visit) -> None:
    rita = opened(visit, "Rita")
    expect(root.get_by_text("Rita is here, too.")).to_be_visible()
    click_end_of(text(rita, "body").locator("p").last)
    rita.keyboard.type(", everybody")
    expect(text(root, "body")).to_contain_text("world, everybody")
    text(root, "summary").press_sequentially("In short")
    expect(text(rita, "summary")).to_have_value("In short")
    text(root, "text").press("Control+Home")
    text(root, "text").press_sequentially("My ")
    expect(text(rita, "text")).to_have_value("My section")


def test_three_people_are_in_one_form(root: Page, visit: Visit) -> None:
    rita = opened(visit, "Rita")
    vera = visit(CHANGE, "Vera").page
    for writer, words in ((root, "One "), (rita, "Two ")):
        text(writer, "body").click()
        expect(text(writer, "body")).to_be_focused()
        writer.keyboard.type(words)
        for reader in (root, rita, vera):
            expect(text(reader, "body")).to_contain_text(words)
    for page in (root, rita, vera):
        people = editor(page, "body").get_by_role("list", name="Who is here")
        expect(people.get_by_role("listitem")).to_have_count(3)
    expect(vera.get_by_text("Root and Rita are here, too.")).to_be_visible()


def test_fields_that_others_save_are_announced_and_merged(root: Page, visit: Visit) -> None:
    rita = opened(visit, "Rita")
    rita.get_by_label("Title").fill("Second")
    text(rita, "body").click()
    rita.keyboard.type("1 ")
    save(rita)
    said = "Rita changed this to “Second” while the form was open."
    expect(root.get_by_text(said)).to_be_visible()
    root.get_by_label("Views").fill("7")
    save(root)
    expect(root.get_by_label("Title")).to_have_value("Second")
    expect(root.get_by_label("Views")).to_have_value("7")
    expect(text(root, "body")).to_contain_text("1")
    # Both change the same field.
    rita.get_by_label("Views").fill("8")
    save(rita)
    expect(rita.get_by_text("Save again to replace it.")).to_be_visible()
    save(rita)
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
    save(rita, "Save")
    expect(rita.locator("body")).to_have_text("saved")
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


def test_a_new_row_is_written_in_its_editor_which_keeps_the_text_after_an_error(
    visit: Visit,
) -> None:
    page = visit("/admin/texts/article/add/", "Root").page
    write(page, "body", "# Hello\n- one")
    expect(text(page, "body").locator("h1")).to_have_text("Hello")
    write(page, "summary", "short")
    # The title is missing; the browser would say so, and the server does.
    page.locator("#article_form").evaluate("form => (form.noValidate = true)")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("This field is required.").first).to_be_visible()
    expect(text(page, "body").locator("h1")).to_have_text("Hello")
    expect(text(page, "body").locator("li")).to_have_text("one")
    expect(text(page, "summary")).to_have_value("short")
    page.get_by_label("Title").fill("First")
    # What is typed last is sent, too.
    text(page, "summary").press("End")
    text(page, "summary").press_sequentially("er")
    page.get_by_role("button", name="Save and continue editing").click()
    page.wait_for_url(f"**{CHANGE}")
    expect(editor(page, "body")).to_have_attribute("data-state", "saved")
    expect(text(page, "body").locator("li")).to_have_text("one")
    expect(text(page, "summary")).to_have_value("shorter")


def test_rows_that_are_added_to_a_page_have_editors_of_their_own(root: Page) -> None:
    added = root.locator(".dynamic-sections")
    expect(added).to_have_count(2)
    root.locator("#sections-group .add-row a").click()
    expect(added).to_have_count(3)
    for number, word in ((1, "one"), (2, "two")):
        added.nth(number).locator(f"#id_sections-{number}-heading").fill(word)
        area = added.nth(number).locator(".collab-surface").get_by_role("textbox")
        area.click()
        expect(area).to_be_focused()
        root.keyboard.type(word)
        expect(area).to_have_value(word)
    root.get_by_role("button", name="Save and continue editing").click()
    expect(root.locator(".messagelist")).to_contain_text("was changed successfully")
    for number, word in ((1, "one"), (2, "two")):
        area = added.nth(number).locator("collab-editor").get_by_role("textbox")
        expect(area).to_have_value(word)


def test_words_that_are_typed_before_the_script_is_there_stay(visit: Visit) -> None:
    writer = visit("/admin/texts/article/add/", "Root", java_script_enabled=False)
    for label in ("Body", "Summary"):
        expect(writer.page.get_by_label(label)).to_be_visible()
    page = visit("/enter/Root").page
    held: list[Route] = []
    page.route("**/draft-*.js", lambda route: held.append(route))
    with page.expect_request("**/draft-*.js"):
        page.goto(f"{writer.line.url}/admin/texts/article/add/")
    for field, words in (("body", "Hello"), ("summary", "short")):
        page.locator(f"#id_{field} > textarea").fill(words)
    expect(page.locator("#id_summary > textarea")).to_be_focused()
    (route,) = held
    route.continue_()
    expect(text(page, "body").locator("p")).to_have_text("Hello")
    expect(text(page, "summary")).to_have_value("short")
    expect(text(page, "summary")).to_be_focused()
