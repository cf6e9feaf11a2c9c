"""People at browsers of their own, who visit the example."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.harness.waiting import poll_until

from .site import Line

__all__ = [
    "DESKTOP",
    "PHONE",
    "SMALL_PHONE",
    "Enter",
    "Visitor",
    "expect_no_scroll",
    "reading_path",
    "screenshot",
]

ROOT = Path(__file__).parents[2]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 320, "height": 568}

#: Tells whether the cursor is at the end of a paragraph.
AT_END = """() => {
  const { $head, empty } = document.querySelector(".tiptap").editor.state.selection;
  return empty && $head.parentOffset > 0 && $head.parentOffset === $head.parent.content.size;
}"""

Enter = Callable[..., "Visitor"]


class Visitor:
    """A user at a browser of their own, with a line of their own to the site."""

    def __init__(self, context: BrowserContext, line: Line) -> None:
        self.context = context
        self.line = line
        self.errors: list[str] = []
        context.on("page", self._watch)
        self.page = context.new_page()
        self.go("/")

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def go(self, path: str) -> None:
        """Open an address of the site."""
        self.page.goto(self.line.url + path)

    def log_in(self, name: str) -> None:
        """Log in with one click, as one of the demo users."""
        self.page.get_by_role("button", name=name).click()
        expect(self.page.get_by_role("button", name="Log out")).to_be_visible()

    def open_page(self, title: str) -> None:
        """Open a page from the list and wait until its text is there."""
        self.go("/")
        self.page.get_by_role("link", name=title).click()
        self.expect_page()

    def expect_page(self) -> None:
        """Wait until the text is there, and what is around it works."""
        self.expect_status("saved")
        self.page.wait_for_load_state()
        expect(self.text).to_be_visible()

    @property
    def text(self) -> Locator:
        """The editor."""
        return self.page.locator(".tiptap")

    @property
    def written(self) -> str:
        """The text itself, without the cursors in it."""
        written: str = self.page.evaluate("document.querySelector('.tiptap').editor.getText()")
        return written

    @property
    def html(self) -> str:
        """The text with its formats, without the cursors in it."""
        html: str = self.page.evaluate("document.querySelector('.tiptap').editor.getHTML()")
        return html

    def click_end_of(self, words: str) -> None:
        """Put the cursor at the end of the paragraph with these words."""
        self.text.get_by_text(words).click()

        def is_at_end() -> bool:
            self.page.keyboard.press("End")
            return bool(self.page.evaluate(AT_END))

        # The editor may put the cursor back to where it was clicked, a moment after that.
        poll_until(is_at_end)

    def write(self, words: str) -> None:
        """Type, where the cursor is."""
        self.page.keyboard.type(words)

    def expect_written(self, *words: str) -> None:
        """Wait until all of these are in the text."""
        # The editor comes once its script and the text are there; the status does not wait for it.
        text = "document.querySelector('.tiptap')?.editor.getText()"
        self.page.wait_for_function(
            f"words => words.every((word) => {text}?.includes(word))", arg=list(words)
        )

    def expect_status(self, state: str) -> None:
        """Wait until the indicator says so."""
        expect(self.page.locator("#status")).to_have_attribute("data-state", state)

    def cursor_of(self, name: str) -> Locator:
        """The cursor of another user."""
        return self.page.locator(".collaboration-carets__caret", has_text=name)

    def avatars(self) -> list[str]:
        """The names of those who are shown as being here."""
        return [item.get_attribute("title") or "" for item in self.page.locator("#people li").all()]


def reading_path(visitor: Visitor) -> str:
    """Return the path of the link for reading that the page shows."""
    visitor.page.get_by_role("button", name="Share").click()
    link = visitor.page.get_by_role("textbox", name="Link for reading").input_value()
    visitor.page.keyboard.press("Escape")
    return link.removeprefix(visitor.line.url)


def expect_no_scroll(visitor: Visitor) -> None:
    """Fail if the page is wider than its window; what glides or shakes may be for a moment."""
    assert visitor.page.viewport_size
    fits = "(width) => document.documentElement.scrollWidth <= innerWidth && innerWidth === width"
    visitor.page.wait_for_function(fits, arg=visitor.page.viewport_size["width"])


def screenshot(visitor: Visitor, name: str, directory: Path, height: int) -> None:
    """Take the picture that is in the documentation; it is replaced there if that is asked for."""
    update = os.environ.get("COLLAB_UPDATE_SCREENSHOT") == "1"
    path = (ROOT / "docs" if update else directory) / name
    clip = {"x": 0, "y": 0, "width": DESKTOP["width"], "height": height}
    visitor.page.screenshot(path=path, clip=clip)  # type: ignore[arg-type]
    assert path.stat().st_size > 10_000
