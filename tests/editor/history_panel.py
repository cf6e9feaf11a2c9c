"""The panel of versions in ``<collab-editor>``, as a user at a browser works with it."""

from __future__ import annotations

import html
import re

from playwright.sync_api import Locator, expect

from tests.harness.waiting import poll_until

from .conftest import Writer

__all__ = [
    "entry",
    "expect_equal",
    "expect_said",
    "expect_value",
    "keep",
    "live",
    "open_versions",
    "panel",
    "press",
    "put_caret",
    "restore",
    "shown",
    "value",
    "write",
]


def panel(writer: Writer, number: int = 0) -> Locator:
    return writer.page.locator("collab-editor").nth(number).get_by_role("region", name="Versions")


def press(writer: Writer, name: str) -> None:
    panel(writer).get_by_role("button", name=name, exact=True).click()


def expect_said(writer: Writer, text: str) -> None:
    expect(panel(writer).get_by_role("status")).to_have_text(text)


def open_versions(writer: Writer) -> None:
    writer.editor.get_by_role("button", name="Versions", exact=True).click()
    expect(panel(writer)).to_have_attribute("aria-busy", "false")


def keep(writer: Writer, name: str) -> None:
    """Make a version with a name."""
    panel(writer).get_by_role("textbox", name="Name of this version").fill(name)
    press(writer, "Keep this version")
    expect_said(writer, "This version is kept.")


def entry(writer: Writer, name: str) -> Locator:
    return panel(writer).get_by_role("button", name=re.compile(re.escape(name)))


def shown(writer: Writer) -> Locator:
    """The version in the place of the text."""
    return writer.page.locator(".collab-version")


def live(writer: Writer) -> Locator:
    """The text itself, which may be hidden."""
    return writer.page.locator(
        ".collab-surface:not(.collab-version) :is(.tiptap, textarea, .cm-content)"
    )


def value(writer: Writer) -> str:
    found: str = writer.editor.evaluate("(element) => element.value")
    return found


def expect_value(writer: Writer, part: str) -> None:
    writer.page.wait_for_function(
        "(part) => document.querySelector('collab-editor').value.includes(part)", arg=part
    )


def write(writer: Writer, text: str) -> None:
    """Type a line at the beginning."""
    live(writer).click()
    writer.page.keyboard.press("ControlOrMeta+Home")
    writer.page.keyboard.type(text)
    writer.page.keyboard.press("Enter")
    writer.expect_state("saved")


def restore(writer: Writer, name: str) -> None:
    entry(writer, name).first.click()
    press(writer, "Restore")
    expect(panel(writer).get_by_text(re.compile("^Restore the version of"))).to_be_visible()
    press(writer, "Restore this version")
    expect_said(writer, "The version is restored. The text as it was before is kept as a version.")


def expect_equal(path: str, *writers: Writer) -> None:
    """Wait until all pages have the text that ``documents.read()`` has."""
    for writer in writers:
        writer.expect_state("saved")
    poll_until(lambda: len({_stored(path, writers[0]), *map(value, writers)}) == 1)


def _stored(path: str, writer: Writer) -> str:
    """Return the text that a new page of the server has."""
    page = writer.page.request.get(writer.line.url + path).text()
    [rendered] = re.findall(r'<div class="collab-rendered">(.*?)</div></collab', page, re.DOTALL)
    return rendered if "editor=rich" in path else html.unescape(rendered)


def put_caret(writer: Writer, paragraph: str) -> None:
    """Put the caret behind the last letter of a paragraph of a rich text."""
    live(writer).locator("p", has_text=paragraph).click()
    writer.page.keyboard.press("End")
    writer.page.wait_for_function(
        """(text) => {
            const { focusNode, focusOffset } = getSelection();
            const of = focusNode instanceof Element ? focusNode : focusNode?.parentElement;
            const paragraph = of?.closest("p");
            if (paragraph?.textContent !== text) return false;
            const before = document.createRange();
            before.setStart(paragraph, 0);
            before.setEnd(focusNode, focusOffset);
            return before.toString() === text;
        }""",
        arg=paragraph,
    )
