"""The status of ``<collab-editor>``, its connection, and documents that are long or too large."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import ALL_EDITORS, EDITORS, Visit, click_end_of, pair
from .site_settings import PARAGRAPHS

pytestmark = pytest.mark.browser


def test_fields_of_one_document_share_a_connection(visit: Visit) -> None:
    ann = visit("/people")
    sockets: list[str] = []
    ann.page.on("websocket", lambda socket: sockets.append(socket.url))
    ann.open(f"/page/notes/8?{ALL_EDITORS}")
    for kind in EDITORS:
        expect(ann.text_of(kind)).to_be_visible()
        expect(ann.page.locator(f"[editor={kind}]")).to_have_attribute("data-state", "saved")
    assert len(sockets) == 1


def test_offline_changes_are_kept_and_sent_later(visit: Visit) -> None:
    ann, bob = pair(visit, "/page/notes/13")
    bob.line.cut()
    bob.expect_state("offline")
    bob.text.click()
    bob.page.keyboard.type("from a train")
    expect(bob.text).to_contain_text("from a train")
    bob.line.mend()
    bob.expect_state("saved")
    expect(ann.text).to_contain_text("from a train")


def test_three_users_write_one_text_while_one_of_them_is_offline(visit: Visit) -> None:
    ann, bob = pair(visit, "/page/notes/three")
    cleo = visit("/page/notes/three", "Cleo")
    cleo.expect_state("saved")
    expect(cleo.text).to_be_visible()
    for writer in (ann, bob, cleo):
        people = writer.editor.get_by_role("list", name="Who is here")
        expect(people.get_by_role("listitem")).to_have_count(3)
    cleo.line.cut()
    cleo.expect_state("offline")
    written = {cleo: "from a train", ann: "at the desk", bob: "in the garden"}
    for writer, words in written.items():
        writer.text.click()
        expect(writer.text).to_be_focused()
        writer.page.keyboard.press("Control+End")
        writer.page.keyboard.type(words)
        for reader in (ann, bob) if writer is not cleo else (cleo,):
            expect(reader.text).to_contain_text(words)
    cleo.line.mend()
    for writer in (ann, bob, cleo):
        writer.expect_state("saved")
        for words in written.values():
            expect(writer.text).to_contain_text(words)


def test_leaving_with_unsaved_changes_asks_first(visit: Visit) -> None:
    ann = visit("/page/notes/14", "Ann")
    ann.expect_state("saved")
    # The status does not wait for the script of the editor.
    expect(ann.text).to_be_visible()
    ann.line.cut()
    ann.expect_state("offline")
    ann.text.click()
    ann.page.keyboard.type("unsaved")
    expect(ann.text).to_contain_text("unsaved")
    with ann.page.expect_event("dialog") as asked:
        ann.page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.accept()


def test_a_document_that_is_too_large_says_so(visit: Visit) -> None:
    ann = visit("/page/notes/21?editor=plain", "Ann")
    ann.expect_state("saved")
    ann.text.evaluate(
        """(area) => {
          area.value = "x".repeat(3_000_000);
          area.dispatchEvent(new Event("input"));
        }"""
    )
    ann.expect_state("refused")
    expect(ann.editor.locator("output")).to_have_text("Too large to be saved")


def test_an_editor_that_only_shows_the_text_says_so_to_those_who_may_write(visit: Visit) -> None:
    ann = visit("/page/notes/23", "Ann")
    ann.expect_state("saved")
    shown = visit("/page/notes/23?readonly=1", "Ann")
    shown.expect_state("reading")
    expect(shown.text).to_have_attribute("contenteditable", "false")
    ann.text.click()
    ann.page.keyboard.type("Hello")
    expect(shown.text).to_contain_text("Hello")
    shown.expect_state("reading")


def test_two_users_write_a_long_document(visit: Visit) -> None:
    ann, bob = pair(visit, "/page/notes/long")
    expect(bob.text.locator("p")).to_have_count(PARAGRAPHS)
    for writer, paragraph in ((ann, PARAGRAPHS // 2), (bob, PARAGRAPHS - 1)):
        click_end_of(writer.text.locator("p").nth(paragraph))
    ann.page.keyboard.type(" Hello from the middle.")
    bob.page.keyboard.type(" Hello from the end.")
    middle = bob.text.locator("p").nth(PARAGRAPHS // 2)
    expect(middle).to_contain_text(f"Paragraph {PARAGRAPHS // 2} of")
    expect(middle).to_contain_text("Hello from the middle.")
    expect(ann.text.locator("p").last).to_contain_text("Hello from the end.")
