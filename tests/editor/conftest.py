"""The project of :mod:`tests.editor.site` as served, and browsers of those who visit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Locator, Page, expect

from tests.acceptance.conftest import browser as browser
from tests.acceptance.site import Line
from tests.harness.chromium import new_context
from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.waiting import poll_until

Visit = Callable[..., "Writer"]

#: All kinds of editors, and what makes a page with one of each.
EDITORS = ("rich", "plain", "markdown", "code")
ALL_EDITORS = "&".join(f"editor={kind}" for kind in EDITORS)
#: The names at cursors.
NAMES = ".collaboration-carets__label, .collab-caret-name, .cm-collab-name"
#: Whether the cursor is at the end of this paragraph.
AT_END = """(paragraph) => {
  const { view, state } = paragraph.closest(".tiptap").editor;
  const { $head, empty } = state.selection;
  const isHere = view.nodeDOM($head.before()) === paragraph;
  return empty && isHere && $head.parentOffset === $head.parent.content.size;
}"""


class Writer:
    """A user at a browser of their own.

    Attributes:
        complaints: errors of scripts, and what the policy of the page forbids.
    """

    def __init__(self, page: Page, line: Line) -> None:
        self.page = page
        self.line = line
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.complaints.append(message.text)

    def open(self, path: str) -> None:
        """Open a page of the project."""
        self.page.goto(self.line.url + path)

    @property
    def editor(self) -> Locator:
        """The element."""
        return self.page.locator("collab-editor").first

    @property
    def text(self) -> Locator:
        """The text that is edited."""
        return self.editor.locator(".collab-surface").get_by_role("textbox")

    def text_of(self, kind: str) -> Locator:
        """The text of the editor of a kind, on a page with several."""
        return self.page.locator(f'collab-editor[editor="{kind}"]').get_by_role("textbox")

    def cursors(self, kind: str) -> Locator:
        """The names at others' cursors in the editor of a kind."""
        return self.page.locator(f'collab-editor[editor="{kind}"]').locator(NAMES)

    def expect_state(self, state: str) -> None:
        """Wait until the element says so."""
        expect(self.editor).to_have_attribute("data-state", state)

    def expect_notice(self, text: str) -> None:
        """Wait until the element shows a message with this text."""
        expect(self.editor.locator(".notice")).to_contain_text(text)

    def button(self, name: str) -> Locator:
        """A button of the toolbar."""
        return self.editor.get_by_role("button", name=name, exact=True)

    def upload(self, name: str, kind: str, content: bytes) -> None:
        """Choose a file for the toolbar's button."""
        with self.page.expect_file_chooser() as chosen:
            self.button("Image").click()
        chosen.value.set_files(FilePayload(name=name, mimeType=kind, buffer=content))


def click_end_of(paragraph: Locator) -> None:
    """Put the cursor at the end of a paragraph of a rich text."""
    paragraph.click()

    def is_at_end() -> bool:
        paragraph.page.keyboard.press("End")
        return bool(paragraph.evaluate(AT_END))

    # The editor may put the cursor back to where it was clicked, a moment after that.
    poll_until(is_at_end)


def pair(visit: Visit, path: str, **options: Any) -> tuple[Writer, Writer]:
    """Return two users with the same page open."""
    ann, bob = visit(path, "Ann", **options), visit(path, "Bob", **options)
    for writer in (ann, bob):
        writer.expect_state("saved")
        expect(writer.text).to_be_visible()
    return ann, bob


def added(visit: Visit, path: str, values: dict[str, str]) -> str:
    """Add a row in the admin, without JavaScript, and return the path of its form."""
    page = visit(path, "Root", java_script_enabled=False).page
    for label, value in values.items():
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Save and continue editing").click()
    page.wait_for_url("**/change/")
    return f"/admin/{page.url.partition('/admin/')[2]}"


@pytest.fixture
def pages(start_server: StartServer, tmp_path: Path) -> Server:
    """The project as served."""
    return start_server(
        application="tests.editor.site:application",
        collab={"MAX_DOCUMENT_SIZE": 2 * 1024 * 1024},
        environment={
            "DJANGO_SETTINGS_MODULE": "tests.editor.site_settings",
            "COLLAB_TEST_MEDIA": str(tmp_path / "media"),
        },
    )


@pytest.fixture
def visit(browser: Browser, pages: Server) -> Iterator[Visit]:
    """Open a page for a user, logged in if a name is given."""
    writers = []
    with ExitStack() as stack:

        def visit(path: str, name: str | None = None, **options: Any) -> Writer:
            line = stack.enter_context(Line(pages.port))
            context = new_context(browser, **options)
            stack.callback(context.close)
            writer = Writer(context.new_page(), line)
            writers.append(writer)
            if name:
                writer.open(f"/enter/{name}")
            writer.open(path)
            return writer

        yield visit
    assert [complaint for writer in writers for complaint in writer.complaints] == []
