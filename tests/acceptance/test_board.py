"""The example's board in a real browser: rows that people move about, and the server does, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Locator, Page, expect

from tests.harness.waiting import poll_until

from .browsing import (
    DESKTOP,
    PHONE,
    SMALL_PHONE,
    Enter,
    Visitor,
    expect_no_scroll,
    reading_path,
    screenshot,
)
from .site import Site

pytestmark = pytest.mark.browser

BOARD = "Garden party"
TODO = ["Send the invitations", "Borrow chairs", "Make lemonade", "Playlist"]
DOING = ["Plan B for rain", "String up the lights"]
DONE = ["Choose a day", "Mow the lawn"]

#: So many characters a title may have.
LIMIT = 80

#: Ends after some frames in which no card has moved.
SETTLED = """async () => {
  const moves = () => document.getAnimations().some(({ effect, playState }) =>
    playState === "running" && effect.target.closest(".task"));
  for (let calm = 0; calm < 3; calm = moves() ? 0 : calm + 1) {
    await new Promise(requestAnimationFrame);
  }
}"""


class Planner:
    """A user in front of a board."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page: Page = visitor.page

    def open(self) -> None:
        """Open the board from the list, and wait until its cards are there."""
        self.visitor.go("/boards/")
        self.page.get_by_role("link", name=BOARD).click()
        self.visitor.expect_status("saved")

    def lane(self, state: str) -> Locator:
        """A column."""
        return self.page.locator(f".lane[data-state={state}]")

    def card(self, title: str) -> Locator:
        """A card, wherever it is."""
        return self.page.locator(".task:not(.ghost)", has_text=title)

    def expect_cards(self, state: str, titles: list[str]) -> None:
        """Wait until a column has these cards, in this order."""
        expect(self.lane(state).locator(".name")).to_have_text(titles)

    def grab(self, title: str, state: str, above: str | None = None) -> None:
        """Take a card with the mouse, and hold it over another one or the end of a column."""
        x, y = self.middle(self.card(title))
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(*self.spot(state, above), steps=8)
        self.settle()

    def spot(self, state: str, above: str | None) -> tuple[float, float]:
        """Where a card is dropped that is to be above another one, or at the end."""
        box = (self.card(above) if above else self.lane(state)).bounding_box()
        assert box
        # Cards make room, so the end is well below the last.
        return box["x"] + box["width"] / 2, box["y"] + 2 if above else DESKTOP["height"] - 100

    def settle(self) -> None:
        """Wait until the cards are where they glide to."""
        self.page.evaluate(SETTLED)

    def middle(self, locator: Locator) -> tuple[float, float]:
        """Where a card, or a part of it, is grasped."""
        self.settle()
        box = locator.bounding_box()
        assert box
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(self, title: str, state: str, above: str | None = None) -> None:
        """Take a card somewhere with the mouse."""
        self.grab(title, state, above)
        self.page.mouse.up()

    def add(self, title: str) -> None:
        """Make a card."""
        self.page.get_by_role("textbox", name="Add a card").fill(title)
        self.page.get_by_role("button", name="Add").click()

    def unfold(self, title: str) -> None:
        """Open a card."""
        self.card(title).click()
        expect(self.sheet).to_be_visible()

    def fold(self) -> None:
        """Close the card that is open."""
        self.sheet.get_by_role("button", name="Close").click()
        expect(self.sheet).to_be_hidden()

    @property
    def sheet(self) -> Locator:
        """The card that is open."""
        return self.page.get_by_role("dialog")

    @property
    def description(self) -> Locator:
        """Where the description of the open card is written."""
        return self.sheet.get_by_label("Description")


@pytest.fixture
def alice(enter: Enter) -> Planner:
    """Alice, who has the board open."""
    alice = Planner(enter("Alice"))
    alice.open()
    return alice


@pytest.fixture
def bob(enter: Enter) -> Planner:
    """Bob, who has the board open."""
    bob = Planner(enter("Bob"))
    bob.open()
    return bob


def test_a_card_dragged_in_one_browser_moves_in_the_other(alice: Planner, bob: Planner) -> None:
    alice.expect_cards("todo", TODO)
    alice.drag("Plan B for rain", "done", above="Mow the lawn")
    for planner in (alice, bob):
        planner.expect_cards("doing", ["String up the lights"])
        planner.expect_cards("done", ["Choose a day", "Plan B for rain", "Mow the lawn"])
    bob.drag("Playlist", "todo", above="Borrow chairs")
    for planner in (alice, bob):
        planner.expect_cards("todo", [TODO[0], "Playlist", "Borrow chairs", "Make lemonade"])
    # It is the row that has moved: the list of boards reads nothing else.
    alice.visitor.expect_status("saved")
    poll_until(lambda: "3 of 8 done" in the_list(alice))


def the_list(planner: Planner) -> str:
    """Read the list of boards anew."""
    planner.visitor.go("/boards/")
    return planner.page.inner_text("main")


def test_a_drag_can_be_given_up(alice: Planner) -> None:
    alice.grab("Borrow chairs", "doing")
    expect(alice.lane("doing").locator(".leaving")).to_be_visible()
    alice.page.keyboard.press("Escape")
    alice.page.mouse.up()
    alice.expect_cards("todo", TODO)
    alice.expect_cards("doing", DOING)
    expect(alice.page.locator(".ghost")).to_have_count(0)


def test_others_see_who_has_a_card_in_hand(alice: Planner, bob: Planner) -> None:
    alice.grab("Borrow chairs", "doing")
    expect(bob.card("Borrow chairs")).to_have_attribute("data-holder", "Alice")
    alice.page.mouse.up()
    bob.expect_cards("doing", [*DOING, "Borrow chairs"])
    expect(bob.card("Borrow chairs")).to_have_attribute("data-holder", "")
    bob.unfold("Playlist")
    expect(alice.card("Playlist")).to_have_attribute("data-holder", "Bob")


def test_a_card_is_dragged_by_a_finger(enter: Enter, bob: Planner) -> None:
    alice = Planner(enter("Alice", viewport=PHONE, has_touch=True, is_mobile=True))
    alice.open()
    x, y = alice.middle(alice.card("Playlist").locator(".grip"))
    to_x, to_y = alice.spot("todo", "Send the invitations")
    # As the browser's own tools for developers do it.
    finger = alice.page.context.new_cdp_session(alice.page)
    touch(finger, "touchStart", x, y)
    for step in range(1, 9):
        touch(finger, "touchMove", x + (to_x - x) * step / 8, y + (to_y - y) * step / 8)
    alice.settle()
    touch(finger, "touchEnd")
    for planner in (alice, bob):
        planner.expect_cards("todo", ["Playlist", *TODO[:3]])
    expect(alice.sheet).to_be_hidden()


def touch(finger: CDPSession, kind: str, *place: float) -> None:
    points = [dict(zip("xy", place, strict=True))] if place else []
    finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_a_card_is_moved_by_keyboard(alice: Planner, bob: Planner) -> None:
    alice.card("Borrow chairs").focus()
    alice.page.keyboard.press("Shift+ArrowDown")
    bob.expect_cards("todo", [TODO[0], "Make lemonade", "Borrow chairs", "Playlist"])
    alice.page.keyboard.press("Shift+ArrowRight")
    bob.expect_cards("doing", [*DOING, "Borrow chairs"])
    expect(alice.page.locator("#said")).to_have_text("Doing, 3 of 3")
    expect(alice.card("Borrow chairs")).to_be_focused()
    alice.page.keyboard.press("ArrowUp")
    expect(alice.card("String up the lights")).to_be_focused()
    alice.page.keyboard.press("Enter")
    expect(alice.sheet.get_by_label("Title")).to_have_value("String up the lights")
    alice.page.keyboard.press("Escape")
    expect(alice.card("String up the lights")).to_be_focused()


def test_a_change_in_the_admin_moves_the_card(alice: Planner, bob: Planner) -> None:
    admin = alice.visitor.context.new_page()
    admin.goto(f"{alice.visitor.line.url}/admin/boards/task/")
    row = admin.get_by_role("row", name="Make lemonade")
    row.get_by_role("combobox").select_option("Doing")
    admin.get_by_role("button", name="Save").click()
    for planner in (alice, bob):
        planner.expect_cards("todo", ["Send the invitations", "Borrow chairs", "Playlist"])
        expect(planner.lane("doing").locator(".name")).to_have_text(
            ["Plan B for rain", "String up the lights", "Make lemonade"]
        )


def test_two_write_the_same_description_at_once(alice: Planner, bob: Planner) -> None:
    for planner in (alice, bob):
        planner.unfold("Borrow chairs")
    expect(alice.sheet.get_by_text("Here as well: Bob")).to_be_visible()
    alice.description.focus()
    alice.page.keyboard.press("Control+Home")
    bob.description.focus()
    bob.page.keyboard.press("Control+End")
    letters = "abcdefghijklmnopqrstuvwxyz"
    for letter in letters:
        alice.page.keyboard.type(letter)
        bob.page.keyboard.type(letter.upper())
    both = f"{letters}The neighbours have twelve.{letters.upper()}"
    for planner in (alice, bob):
        expect(planner.description).to_have_value(both)
        planner.fold()
        expect(planner.card("Borrow chairs").locator(".about")).to_have_text(both)
    # The row follows a moment after they have paused.
    alice.visitor.go("/admin/boards/task/?q=Borrow")
    alice.page.get_by_role("link", name="Borrow chairs").click()
    text = alice.page.get_by_label("Description")
    poll_until(lambda: alice.page.reload() is not None and text.input_value() == both)


def test_the_cursor_stays_where_it_is_among_others_letters(alice: Planner, bob: Planner) -> None:
    for planner in (alice, bob):
        planner.unfold("Borrow chairs")
    bob.description.focus()
    bob.page.keyboard.press("Control+End")
    alice.description.fill("I think the neighbours have twelve.")
    expect(bob.description).to_have_value("I think the neighbours have twelve.")
    bob.page.keyboard.type(" Blue ones.")
    text = "I think the neighbours have twelve. Blue ones."
    expect(alice.description).to_have_value(text)


def test_a_card_is_made_and_deleted_for_all(alice: Planner, bob: Planner) -> None:
    alice.add("Bake a cake")
    bob.expect_cards("todo", [*TODO, "Bake a cake"])
    # The server knows by now whose idea it was.
    expect(bob.card("Bake a cake").get_by_title("Alice")).to_be_visible()
    alice.unfold("Bake a cake")
    alice.description.fill("With plums.")
    expect(bob.card("Bake a cake").locator(".about")).to_have_text("With plums.")
    bob.unfold("Bake a cake")
    bob.sheet.get_by_role("button", name="Delete").click()
    for planner in (alice, bob):
        expect(planner.sheet).to_be_hidden()
        planner.expect_cards("todo", TODO)


def test_a_card_that_may_not_be_there_snaps_back(alice: Planner, bob: Planner) -> None:
    alice.drag("Borrow chairs", "done")
    refusal = alice.card("Borrow chairs").get_by_role("alert")
    expect(refusal).to_have_text("Nothing goes from “To do” straight to “Done”.")
    for planner in (alice, bob):
        planner.expect_cards("todo", TODO)
        planner.expect_cards("done", DONE)
    # Only who has done it is told.
    expect(bob.page.locator(".refusal:visible")).to_have_count(0)
    alice.card("Borrow chairs").get_by_role("button", name="Got it").click()
    expect(alice.page.locator(".refusal:visible")).to_have_count(0)


@pytest.mark.parametrize("title", ["", "x" * (LIMIT + 1)], ids=["empty", "too long"])
def test_a_title_that_is_not_valid_snaps_back(alice: Planner, bob: Planner, title: str) -> None:
    alice.unfold("Playlist")
    alice.sheet.get_by_label("Title").fill(title)
    alice.description.focus()
    expect(alice.sheet.locator("[data-error=title]")).not_to_be_empty()
    expect(alice.sheet.get_by_label("Title")).to_have_value("Playlist")
    alice.fold()
    expect(alice.card("Playlist").get_by_role("alert")).to_contain_text("Title: ")
    bob.expect_cards("todo", TODO)
    expect(bob.page.locator(".refusal:visible")).to_have_count(0)
    # What is right takes the message away.
    alice.unfold("Playlist")
    alice.sheet.get_by_label("Title").fill("Music")
    alice.fold()
    bob.expect_cards("todo", [*TODO[:3], "Music"])
    expect(alice.page.locator(".refusal:visible")).to_have_count(0)


def test_a_card_that_is_not_valid_vanishes_with_a_word(alice: Planner) -> None:
    alice.add("x" * (LIMIT + 1))
    notice = alice.page.locator("#notices")
    expect(notice).to_contain_text("was not saved")
    alice.expect_cards("todo", TODO)
    notice.get_by_role("button", name="Got it").click()
    expect(notice).to_be_empty()


def test_changes_made_offline_arrive_after_reconnecting(alice: Planner, bob: Planner) -> None:
    bob.visitor.line.cut()
    bob.visitor.expect_status("offline")
    alice.drag("Playlist", "doing")
    bob.drag("Plan B for rain", "done")
    bob.drag("Borrow chairs", "done")
    bob.add("Bake a cake")
    bob.unfold("Make lemonade")
    bob.description.fill("Ten litres.")
    bob.fold()
    bob.visitor.line.mend()
    bob.visitor.expect_status("saved")
    for planner in (alice, bob):
        planner.expect_cards("done", [*DONE, "Plan B for rain"])
        planner.expect_cards("doing", ["String up the lights", "Playlist"])
        planner.expect_cards("todo", [*TODO[:3], "Bake a cake"])
        expect(planner.card("Make lemonade").locator(".about")).to_have_text("Ten litres.")
    # This one was not allowed; nobody could say so before.
    expect(bob.card("Borrow chairs").get_by_role("alert")).to_contain_text("Nothing goes")
    expect(alice.page.locator(".refusal:visible")).to_have_count(0)


def test_reload_keeps_what_was_moved(alice: Planner) -> None:
    alice.add("Bake a cake")
    # It has the key of its row by now, and stays the same card.
    expect(alice.card("Bake a cake").get_by_title("Alice")).to_be_visible()
    alice.drag("Bake a cake", "doing")
    alice.visitor.expect_status("saved")
    alice.page.reload()
    alice.expect_cards("doing", [*DOING, "Bake a cake"])
    alice.visitor.expect_status("saved")


def test_a_user_with_read_access_changes_nothing(enter: Enter, alice: Planner) -> None:
    reader = Planner(enter())
    reader.visitor.go(reading_path(alice.visitor))
    reader.visitor.expect_status("reading")
    reader.expect_cards("todo", TODO)
    expect(reader.page.get_by_role("textbox")).to_have_count(0)
    reader.drag("Borrow chairs", "doing")
    reader.page.keyboard.press("Escape")
    reader.card("Borrow chairs").focus()
    reader.page.keyboard.press("Shift+ArrowRight")
    reader.expect_cards("todo", TODO)
    reader.unfold("Borrow chairs")
    expect(reader.sheet.get_by_role("button", name="Delete")).to_have_count(0)
    expect(reader.sheet.get_by_label("Column")).to_be_disabled()
    # Not even by the tools of the browser: the server takes nothing.
    reader.description.evaluate("area => (area.readOnly = false)")
    reader.description.fill("Forced in.")
    reader.fold()
    expect(reader.card("Borrow chairs").locator(".about")).to_have_text("Forced in.")
    alice.drag("Playlist", "doing")
    reader.expect_cards("doing", [*DOING, "Playlist"])
    alice.page.reload()
    alice.visitor.expect_status("saved")
    expect(alice.card("Borrow chairs").locator(".about")).to_have_text(
        "The neighbours have twelve."
    )


def test_a_new_board_is_made(enter: Enter) -> None:
    alice, bob = enter("Alice"), enter("Bob")
    alice.go("/boards/")
    alice.page.get_by_role("textbox", name="Title of a new board").fill("Moving house")
    alice.page.get_by_role("button", name="New board").click()
    Planner(alice).add("Find boxes")
    alice.expect_status("saved")
    bob.page.goto(bob.line.url + alice.page.url.removeprefix(alice.line.url))
    Planner(bob).expect_cards("todo", ["Find boxes"])


def test_the_demo_is_not_doubled_by_another_start(site: Site, enter: Enter) -> None:
    site.kill()
    site.start()
    alice = enter("Alice")
    alice.go("/boards/")
    expect(alice.page.get_by_role("link", name=BOARD)).to_have_count(1)
    expect(alice.page.get_by_text("2 of 8 done")).to_be_visible()


@pytest.mark.parametrize("viewport", [PHONE, SMALL_PHONE], ids=["phone", "small phone"])
def test_the_board_is_not_wider_than_a_phone(enter: Enter, viewport: dict[str, int]) -> None:
    alice = Planner(enter("Alice", viewport=viewport, has_touch=True, is_mobile=True))
    alice.visitor.go("/boards/")
    expect_no_scroll(alice.visitor)
    alice.open()
    alice.add("Unbreakable" * 7)
    alice.visitor.expect_status("saved")
    expect_no_scroll(alice.visitor)
    alice.unfold("Unbreakable")
    expect_no_scroll(alice.visitor)
    alice.fold()
    alice.add("x" * (LIMIT + 1))
    expect(alice.page.locator("#notices")).not_to_be_empty()
    expect_no_scroll(alice.visitor)


def test_screenshot(enter: Enter, tmp_path: Path) -> None:
    visitors = enter("Alice", device_scale_factor=2), enter("Bob"), enter("Carol")
    alice, bob, carol = map(Planner, visitors)
    for planner in (alice, bob, carol):
        planner.open()
    carol.unfold("Plan B for rain")
    bob.grab("Make lemonade", "doing", above="String up the lights")
    alice.drag("Send the invitations", "done", above="Mow the lawn")
    expect(alice.card("Send the invitations").get_by_role("alert")).to_be_visible()
    expect(alice.card("Make lemonade")).to_have_attribute("data-holder", "Bob")
    expect(alice.card("Plan B for rain")).to_have_attribute("data-holder", "Carol")
    alice.page.mouse.move(0, 0)
    alice.visitor.expect_status("saved")
    alice.settle()
    screenshot(alice.visitor, "board.png", tmp_path, height=640)
