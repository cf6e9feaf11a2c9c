"""The collaboration examples of Tiptap and BlockNote, in Chromium, with Hocuspocus' provider."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.content.editors import DIRECTORY
from tests.harness.chromium import new_context
from tests.harness.fixtures import StartServer
from tests.harness.server import Server

from .site import Line

pytestmark = pytest.mark.browser

STORED = "() => provider.synced && provider.unsyncedChanges === 0"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples as one script, with its styles beside it."""
    script = tmp_path_factory.mktemp("examples") / "examples.js"
    esbuild = DIRECTORY / "node_modules" / ".bin" / "esbuild"
    options = ["--bundle", "--jsx=automatic", "--log-level=error"]
    options += ["--conditions=style", "--loader:.woff=empty", "--loader:.woff2=empty"]
    subprocess.run(
        [esbuild, "examples.jsx", *options, f"--outfile={script}"], cwd=DIRECTORY, check=True
    )
    return script


@pytest.fixture
def server(start_server: StartServer) -> Server:
    """A server of Hocuspocus' clients."""
    return start_server(application="tests.client.app:application")


class Writer:
    """A user of an example.

    Args:
        name: of the user.
        page: that is open.
        line: to the server.
    """

    def __init__(self, name: str, page: Page, line: Line) -> None:
        self.name = name
        self.page = page
        self.line = line
        self.editor = page.locator(".ProseMirror").first

    def open(self, example: str, document: str) -> None:
        url = self.line.url.replace("http", "ws") + "/hocuspocus"
        user = {"name": self.name, "color": "#2f6fde"}
        self.page.evaluate(
            "([open, url, name, user]) => window[open](url, name, user)",
            [f"open{example}", url, document, user],
        )
        self.page.wait_for_function(STORED)

    def type(self, text: str) -> None:
        """Write at the end, and wait until it is there."""
        self.editor.click()
        expect(self.editor).to_be_focused()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.type(text)
        expect(self.editor).to_contain_text(text.strip())

    def wait_stored(self) -> None:
        self.page.wait_for_function(STORED)


@pytest.fixture
def writers(browser: Browser, bundle: Path, server: Server) -> Iterator[list[Writer]]:
    """Ann and Bob."""
    errors: list[str] = []
    with ExitStack() as stack:
        found = []
        for name in ("Ann", "Bob"):
            line = stack.enter_context(Line(server.port))
            context = new_context(browser)
            stack.callback(context.close)
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{line.url}/")
            page.add_style_tag(path=bundle.with_suffix(".css"))
            page.add_script_tag(path=bundle)
            found.append(Writer(name, page, line))
        yield found
    assert errors == []


@pytest.mark.parametrize("example", ["Tiptap", "BlockNote"])
def test_an_example_converges_shows_cursors_and_goes_on_offline(
    writers: list[Writer], example: str
) -> None:
    ann, bob = writers
    for writer in writers:
        writer.open(example, f"shared/{example}")
    ann.type("Hello from Ann. ")
    expect(bob.editor).to_contain_text("Hello from Ann.")
    bob.type("Hello from Bob. ")
    expect(ann.editor).to_contain_text("Hello from Bob.")
    # The cursors have labels with names.
    for one, other in ((ann, bob), (bob, ann)):
        label = one.editor.get_by_text(other.name, exact=True)
        expect(label).to_be_attached()
    bob.line.cut()
    bob.page.wait_for_function("() => !provider.synced")
    bob.type("Offline. ")
    ann.type("Meanwhile. ")
    bob.line.mend()
    expect(bob.editor).to_contain_text("Meanwhile.")
    expect(ann.editor).to_contain_text("Offline.")
    for writer in writers:
        writer.wait_stored()


def test_comments_of_blocknote_are_seen_by_all(writers: list[Writer]) -> None:
    ann, bob = writers
    for writer in writers:
        writer.open("BlockNote", "shared/commented")
    ann.type("Comment this.")
    expect(bob.editor).to_contain_text("Comment this.")
    ann.page.keyboard.press("Shift+Home")
    ann.page.get_by_role("button", name="Add comment").click()
    comment = ann.page.locator(".bn-comment-editor [contenteditable=true]")
    expect(comment).to_be_focused()
    ann.page.keyboard.type("Why?")
    expect(comment).to_have_text("Why?")
    ann.page.get_by_role("button", name="Save").click()
    expect(bob.editor.locator(".bn-thread-mark")).to_have_text("Comment this.")
    expect(bob.page.locator(".bn-thread")).to_have_count(0)
    bob.editor.locator(".bn-thread-mark").click()
    expect(bob.page.locator(".bn-thread")).to_contain_text("Why?")
    ann.wait_stored()
