"""The example in a real browser: several people write the same page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import WebSocket, expect

from tests.harness.waiting import poll_until

from .browsing import PHONE, SMALL_PHONE, Enter, Visitor, expect_no_scroll, reading_path, screenshot
from .site import Site

pytestmark = pytest.mark.browser


@pytest.fixture
def alice(enter: Enter) -> Visitor:
    """Alice, who has the first page open."""
    alice = enter("Alice")
    alice.open_page("Welcome")
    return alice


@pytest.fixture
def bob(enter: Enter) -> Visitor:
    """Bob, who has the first page open."""
    bob = enter("Bob")
    bob.open_page("Welcome")
    return bob


def write_in_turns(first: Visitor, second: Visitor, letters: str) -> None:
    """Type with both, each letter without waiting for what the other typed."""
    for letter in letters:
        first.write(letter)
        second.write(letter.upper())


def expect_equal(*visitors: Visitor, including: tuple[str, ...]) -> None:
    """Wait until all have the same text, and these words in it."""
    for visitor in visitors:
        visitor.expect_written(*including)
    texts = {visitor.written for visitor in visitors}
    assert len(texts) == 1


def test_two_users_type_at_once_and_see_each_others_cursor(alice: Visitor, bob: Visitor) -> None:
    alice.click_end_of("All users who open")
    bob.click_end_of("Type in both at once")
    expect(alice.cursor_of("Bob")).to_be_visible()
    expect(bob.cursor_of("Alice")).to_be_visible()
    write_in_turns(alice, bob, "abcdefghijklmnopqrstuvwxyz")
    letters = "abcdefghijklmnopqrstuvwxyz"
    expect_equal(alice, bob, including=(letters, letters.upper()))
    for visitor in (alice, bob):
        visitor.expect_status("saved")
        expect(visitor.page.locator("#people li")).to_have_count(2)
    assert alice.avatars() == ["Alice", "Bob"]
    assert bob.avatars() == ["Bob", "Alice"]


def test_two_users_type_at_the_same_place(alice: Visitor, bob: Visitor) -> None:
    for visitor in (alice, bob):
        visitor.click_end_of("All users who open")
    write_in_turns(alice, bob, "onetwothree")
    for visitor in (alice, bob):
        visitor.expect_status("saved")
    # Both have all letters, in one order or another, and nothing twice.
    tail = "the same text."
    for visitor in (alice, bob):
        visitor.page.wait_for_function(
            "([tail, size]) => document.querySelector('.tiptap').editor.getText()"
            ".split(tail)[1].split('\\n')[0].length === size",
            arg=[tail, 2 * len("onetwothree")],
        )
    assert alice.written == bob.written


def test_cursor_vanishes_when_its_owner_leaves(alice: Visitor, bob: Visitor) -> None:
    bob.click_end_of("All users who open")
    expect(alice.cursor_of("Bob")).to_be_visible()
    bob.page.close()
    expect(alice.cursor_of("Bob")).to_have_count(0)
    expect(alice.page.locator("#people li")).to_have_count(1)


def test_tabs_of_one_browser_are_one_person_with_two_cursors(alice: Visitor, bob: Visitor) -> None:
    # Tabs tell each other of the others over a channel of the browser's own.
    second = bob.context.new_page()
    second.goto(bob.page.url)
    expect(second.locator("#status")).to_have_attribute("data-state", "saved")
    bob.click_end_of("All users who open")
    second.locator(".tiptap").get_by_text("Type in both").click()
    expect(alice.cursor_of("Bob")).to_have_count(2)
    assert alice.avatars() == ["Alice", "Bob"]
    second.close()
    expect(alice.cursor_of("Bob")).to_have_count(1)


def test_offline_edits_converge(alice: Visitor, bob: Visitor) -> None:
    bob.line.cut()
    bob.expect_status("offline")
    expect(alice.page.locator("#people li")).to_have_count(1)
    alice.click_end_of("All users who open")
    alice.write(" Alice was here.")
    alice.expect_status("saved")
    bob.click_end_of("Type in both at once")
    bob.write(" Bob was away.")
    bob.expect_status("offline")
    bob.line.mend()
    bob.expect_status("saved")
    expect_equal(alice, bob, including=("Alice was here.", "Bob was away."))


#: Whether so many updates of the page are in the browser's own database.
KEPT_UPDATES = """async (count) => {
    const [{ name }] = await indexedDB.databases();
    const request = (made) =>
        new Promise((resolve) => (made.onsuccess = () => resolve(made.result)));
    const database = await request(indexedDB.open(name));
    const updates = database.transaction("updates").objectStore("updates");
    const kept = await request(updates.count());
    database.close();
    return kept > count;
}"""


def test_edits_of_a_tab_closed_offline_come_with_the_next(alice: Visitor, bob: Visitor) -> None:
    """liveblocks#747: edits made offline are lost with their tab."""
    bob.line.cut()
    bob.expect_status("offline")
    bob.click_end_of("All users who open")
    bob.write(" Written on a train.")
    bob.page.wait_for_function(KEPT_UPDATES, arg=len(" Written on a train."))
    address = bob.page.url
    bob.page.close()
    bob.line.mend()
    bob.page = bob.context.new_page()
    bob.page.goto(address)
    alice.expect_written("Written on a train.")
    bob.expect_status("saved")
    expect_equal(alice, bob, including=("Written on a train.",))


def test_reload_keeps_all(alice: Visitor) -> None:
    alice.click_end_of("All users who open")
    alice.page.keyboard.press("Enter")
    alice.write("A ")
    alice.page.get_by_role("button", name="Bold", exact=True).click()
    alice.write("bold")
    alice.page.get_by_role("button", name="Bold", exact=True).click()
    alice.write(" word")
    alice.expect_status("saved")
    before = alice.html
    alice.page.reload()
    alice.expect_written("A bold word")
    alice.expect_status("saved")
    assert "<p>A <strong>bold</strong> word</p>" in before
    assert alice.html == before


def test_killed_server_has_every_letter_that_was_saved(
    site: Site, enter: Enter, alice: Visitor
) -> None:
    alice.click_end_of("All users who open")
    alice.write(" Saved before.")
    alice.expect_status("saved")
    site.kill()
    # With the browser goes its own copy: what comes back is the server's.
    alice.context.close()
    site.start()
    carol = enter("Carol")
    carol.open_page("Welcome")
    carol.expect_written("Saved before.")


def test_text_written_while_the_server_is_down_is_saved_later(
    site: Site, enter: Enter, alice: Visitor, bob: Visitor
) -> None:
    site.kill()
    alice.expect_status("offline")
    bob.expect_status("offline")
    alice.click_end_of("All users who open")
    alice.write(" Alice alone.")
    bob.click_end_of("Type in both at once")
    bob.write(" Bob alone.")
    site.start()
    alice.expect_status("saved")
    bob.expect_status("saved")
    expect_equal(alice, bob, including=("Alice alone.", "Bob alone."))
    carol = enter("Carol")
    carol.open_page("Welcome")
    expect_equal(alice, carol, including=("Alice alone.", "Bob alone."))


def test_read_only_user_follows_and_cannot_change_anything(enter: Enter, alice: Visitor) -> None:
    reader = enter()
    reader.go(reading_path(alice))
    reader.expect_status("reading")
    expect(reader.text).to_contain_text("All users who open")
    before = reader.written
    expect(reader.text).to_have_attribute("contenteditable", "false")
    expect(reader.page.get_by_role("toolbar")).to_have_count(0)
    reader.text.get_by_text("All users who open").click()
    reader.write("No letter of this")
    assert reader.written == before
    # Not even by the tools of the browser: the server takes nothing.
    reader.page.evaluate("document.querySelector('.tiptap').editor.setEditable(true)")
    reader.click_end_of("All users who open")
    reader.write(" Forced in.")
    reader.expect_written("Forced in.")
    alice.click_end_of("All users who open")
    alice.write(" By Alice.")
    alice.expect_status("saved")
    reader.expect_written("By Alice.")
    assert "Forced in." not in alice.written
    alice.page.reload()
    alice.expect_written("By Alice.")
    assert "Forced in." not in alice.written


def test_reader_is_seen_as_a_guest(enter: Enter, alice: Visitor) -> None:
    reader = enter()
    reader.go(reading_path(alice))
    expect(alice.page.get_by_title("Guest")).to_be_visible()
    reader.page.close()
    expect(alice.page.get_by_title("Guest")).to_have_count(0)


def test_a_title_is_changed_for_all_at_once(alice: Visitor, bob: Visitor) -> None:
    before = alice.html
    title = alice.page.get_by_role("textbox", name="Title")
    title.fill("Minutes of the meeting")
    title.press("Enter")
    expect(alice.text).to_be_focused()
    expect(bob.page.get_by_role("textbox", name="Title")).to_have_value("Minutes of the meeting")
    expect(bob.page).to_have_title("Minutes of the meeting")
    assert alice.html == before
    bob.go("/")
    expect(bob.page.get_by_role("link", name="Minutes of the meeting")).to_be_visible()


def test_a_new_page_is_made_and_written(enter: Enter) -> None:
    alice, bob = enter("Alice"), enter("Bob")
    alice.page.get_by_role("textbox", name="Title of a new page").fill("Shopping")
    alice.page.get_by_role("button", name="New page").click()
    alice.expect_page()
    alice.text.click()
    alice.write("Milk")
    alice.expect_status("saved")
    bob.open_page("Shopping")
    bob.expect_written("Milk")


def test_the_list_shows_and_finds_what_was_written_and_by_whom(alice: Visitor) -> None:
    alice.click_end_of("All users who open")
    alice.write(" Bring lemonade.")
    alice.expect_status("saved")
    line = alice.page.get_by_role("listitem")

    def is_found() -> bool:
        alice.go("/?q=lemonade+write")
        return alice.page.locator(".list a").count() == 1

    # The list is kept up to date a moment later.
    poll_until(is_found)
    expect(line).to_contain_text("Welcome")
    expect(line).to_contain_text("Changed by Alice")
    expect(line).to_contain_text("All users who open")
    alice.go("/?q=nowhere")
    expect(line).to_have_text("No page has “nowhere”.")


def test_a_deleted_page_closes_for_all(enter: Enter, bob: Visitor) -> None:
    alice = enter("Alice")
    bob_list = bob.context.new_page()
    bob_list.goto(bob.line.url)
    # Only its owner may.
    expect(bob_list.get_by_role("button", name="Delete")).to_have_count(0)
    alice.page.get_by_role("button", name="Delete “Welcome”").click()
    alice.page.get_by_role("button", name="Delete", exact=True).click()
    expect(alice.page.get_by_text("No pages yet")).to_be_visible()
    bob.expect_status("closed")
    expect(bob.text).to_have_attribute("contenteditable", "false")


def test_logging_in_by_hand(enter: Enter) -> None:
    visitor = enter()
    visitor.go("/pages/")
    for password, outcome in (("wrong", "alert"), ("demo", "list")):
        visitor.go("/")
        visitor.page.get_by_label("Name").fill("carol")
        visitor.page.get_by_label("Password").fill(password)
        visitor.page.get_by_role("button", name="Log in").click()
        expect(visitor.page.get_by_role(outcome)).to_be_visible()  # type: ignore[arg-type]


def test_a_user_who_changes_the_password_writes_on_with_the_new_cookie(
    alice: Visitor, bob: Visitor
) -> None:
    sockets: list[WebSocket] = []
    alice.page.on("websocket", lambda socket: sockets.append(socket))
    alice.page.clock.install()
    alice.page.reload()
    alice.expect_page()
    [cookie] = [each for each in alice.context.cookies() if each["name"] == "sessionid"]
    # The page connects again when its time goes on, however long the password takes.
    alice.page.clock.pause_at(alice.page.evaluate("Date.now() + 1000"))
    change_password(alice, "demo", "lemons and mint")
    poll_until(sockets[-1].is_closed)
    alice.page.clock.resume()
    alice.expect_status("saved")
    [renewed] = [each for each in alice.context.cookies() if each["name"] == "sessionid"]
    assert renewed["value"] != cookie["value"]
    alice.click_end_of("All users who open")
    alice.write(" By Alice.")
    bob.expect_written("By Alice.")
    alice.expect_status("saved")
    # One connection after that which was closed.
    assert [socket.is_closed() for socket in sockets] == [True, False]


def change_password(visitor: Visitor, old: str, new: str) -> None:
    """Change the password in another tab, which gets a new cookie for both."""
    tab = visitor.context.new_page()
    tab.goto(f"{visitor.line.url}/admin/password_change/")
    for name, value in {"old_password": old, "new_password1": new, "new_password2": new}.items():
        tab.locator(f"[name={name}]").fill(value)
    tab.get_by_role("button", name="Change my password").click()
    expect(tab.get_by_text("Your password was changed.")).to_be_visible()
    tab.close()


@pytest.mark.parametrize("viewport", [PHONE, SMALL_PHONE], ids=["phone", "small phone"])
def test_nothing_is_wider_than_a_phone(enter: Enter, viewport: dict[str, int]) -> None:
    visitor = enter(viewport=viewport, has_touch=True, is_mobile=True)
    expect_no_scroll(visitor)
    visitor.log_in("Alice")
    visitor.page.get_by_role("textbox", name="Title of a new page").fill("Unbreakable" * 15)
    expect_no_scroll(visitor)
    visitor.page.get_by_role("button", name="New page").click()
    visitor.expect_page()
    visitor.text.click()
    visitor.write("unbreakable" * 15)
    visitor.expect_status("saved")
    expect_no_scroll(visitor)
    reading_path(visitor)
    expect_no_scroll(visitor)
    visitor.line.cut()
    visitor.expect_status("offline")
    expect_no_scroll(visitor)
    visitor.line.mend()
    visitor.go("/")
    expect(visitor.page.get_by_role("link", name=re.compile("Unbreakable"))).to_be_visible()
    expect_no_scroll(visitor)


def test_screenshot(enter: Enter, tmp_path: Path) -> None:
    alice, bob, carol = enter("Alice", device_scale_factor=2), enter("Bob"), enter("Carol")
    for visitor in (alice, bob, carol):
        visitor.open_page("Welcome")
    bob.click_end_of("Type in both at once")
    carol.click_end_of("All users who open")
    carol.write(" So do we.")
    bob.write(" I see yours!")
    expect(alice.cursor_of("Bob")).to_be_visible()
    expect(alice.cursor_of("Carol")).to_be_visible()
    expect_equal(alice, bob, carol, including=("So do we.", "I see yours!"))
    alice.expect_status("saved")
    screenshot(alice, "screenshot.png", tmp_path, height=640)


PASTE = """html => {
  const data = new DataTransfer();
  data.setData("text/html", html);
  data.setData("text/plain", "pasted");
  const options = { clipboardData: data, bubbles: true, cancelable: true };
  const text = document.querySelector(".tiptap");
  text.dispatchEvent(new ClipboardEvent("paste", options));
}"""


def test_pasted_tables_are_kept_and_images_in_the_html_itself_are_not(alice: Visitor) -> None:
    alice.click_end_of("All users who open")
    alice.page.evaluate(PASTE, "<table><tr><td>pasted <img src='data:,'></td></tr></table>")
    alice.expect_written("pasted")
    expect(alice.text.locator("td")).to_contain_text("pasted")
    assert "data:" not in alice.html


def test_pasted_text_is_reported_nowhere(alice: Visitor) -> None:
    alice.click_end_of("All users who open")
    alice.page.evaluate(PASTE, "<p>pasted</p>")
    alice.expect_written("pasted")
    expect(alice.page.locator("#notice")).to_be_hidden()


MARKDOWN = """\
# Plan

Some **bold**, *italic* and ~~old~~ `code`, 👩‍👩‍👧 and שלום.\\
A second line.

1. one
   - nested
2. two

- [x] done
- [ ] to do

> A quote

```python
x = 1
```

---

The end
"""


def import_file(visitor: Visitor, markdown: str, directory: Path) -> None:
    """Import a Markdown file into the page that is open."""
    path = directory / "page.md"
    path.write_text(markdown, "utf-8")
    visitor.page.get_by_role("button", name="File", exact=True).click()
    visitor.page.get_by_label("Markdown file").set_input_files(path)
    visitor.page.get_by_role("button", name="Import").click()


def export_file(visitor: Visitor, kind: str) -> str:
    """Export the page that is open, and return the file."""
    link = visitor.page.get_by_role("link", name=kind)
    if not link.is_visible():
        visitor.page.get_by_role("button", name="File", exact=True).click()
    with visitor.page.expect_download() as download:
        link.click()
    return Path(download.value.path()).read_text("utf-8")


def test_imported_markdown_is_live_and_the_editor_changes_not_a_byte(
    site: Site, alice: Visitor, bob: Visitor, enter: Enter, tmp_path: Path
) -> None:
    bob.click_end_of("All users who open")
    import_file(alice, MARKDOWN, tmp_path)
    bob.expect_written("A second line.", "to do", "The end")
    alice.expect_written("The end")
    [slug] = re.findall(r"/pages/([\w-]+)/", alice.page.url)
    before = site.stored_bytes(slug)
    carol = enter("Carol")
    carol.open_page("Welcome")
    carol.expect_written("The end")
    carol.expect_status("saved")
    assert site.stored_bytes(slug) == before
    assert export_file(carol, "Markdown") == MARKDOWN
    html = export_file(carol, "HTML")
    shown = carol.text.evaluate("element => element.editor.getHTML()")
    assert html == shown
    carol.click_end_of("The end")
    carol.write(" of it.")
    alice.expect_written("The end of it.")
