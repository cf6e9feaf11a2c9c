"""The versions of a rich text in ``<collab-editor>``, in Chromium, below a strict policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import Visit, Writer, pair
from .history_panel import (
    entry,
    expect_equal,
    expect_said,
    expect_value,
    keep,
    live,
    open_versions,
    panel,
    press,
    put_caret,
    restore,
    shown,
    value,
    write,
)

pytestmark = pytest.mark.browser

PATH = "/page/notes/meanwhile?editor=rich&history=1"


def two_with_a_version(visit: Visit) -> tuple[Writer, Writer]:
    """Return two users and a text, of which a version has only the paragraphs."""
    ann, bob = pair(visit, PATH)
    write(ann, "First")
    write(ann, "Second")
    expect_value(bob, "<p>Second</p><p>First</p>")
    open_versions(bob)
    keep(bob, "Monday")
    put_caret(ann, "Second")
    ann.page.keyboard.type(" of later")
    ann.expect_state("saved")
    expect_value(bob, "<p>Second of later</p>")
    return ann, bob


def expect_without(writer: Writer, part: str) -> None:
    writer.page.wait_for_function(
        "(part) => !document.querySelector('collab-editor').value.includes(part)", arg=part
    )


def test_text_typed_elsewhere_while_a_version_is_restored_stays(visit: Visit) -> None:
    ann, bob = two_with_a_version(visit)
    # Ann's edit comes to the server after the restoration, which knows nothing of it.
    ann.line.cut()
    ann.expect_state("offline")
    put_caret(ann, "First")
    ann.page.keyboard.type(" meanwhile")
    restore(bob, "Monday")
    ann.line.mend()
    for writer in (ann, bob):
        expect(live(writer)).to_contain_text("First meanwhile")
        expect(live(writer)).not_to_contain_text("of later")
    expect_equal(PATH, ann, bob)


def test_one_goes_on_typing_while_the_other_restores(visit: Visit) -> None:
    ann, bob = two_with_a_version(visit)
    put_caret(ann, "First")
    entry(bob, "Monday").click()
    press(bob, "Restore")
    # Nothing waits for the restoration: letters come before it, with it and after it.
    ann.page.keyboard.type(" and one")
    press(bob, "Restore this version")
    ann.page.keyboard.type(" and two")
    expect_said(bob, "The version is restored. The text as it was before is kept as a version.")
    for writer in (ann, bob):
        expect_without(writer, "of later")
    ann.page.keyboard.type(" and three")
    expect_value(bob, " and three")
    expect_equal(PATH, ann, bob)
    assert value(bob).startswith("<p>Second</p><p>First")


def test_authors_of_a_rich_text_have_colours(visit: Visit) -> None:
    ann, bob = pair(visit, PATH)
    write(ann, "By Ann")
    expect_value(bob, "By Ann")
    put_caret(bob, "By Ann")
    bob.page.keyboard.type(", and by Bob")
    bob.expect_state("saved")
    bob.button("Bold").click()
    bob.page.keyboard.type(" strongly")
    bob.expect_state("saved")
    open_versions(bob)
    keep(bob, "Monday")
    entry(bob, "Monday").click()
    expect(shown(bob)).to_contain_text("By Ann, and by Bob strongly")
    press(bob, "Authors")
    coloured = shown(bob).locator("[class*=collab-author-]")
    expect(coloured).to_have_text(["By Ann", ", and by Bob", " strongly"])
    classes = [each.get_attribute("class") for each in coloured.all()]
    assert classes[0] != classes[1] == classes[2]
    legend = panel(bob).locator(".collab-history-legend")
    expect(legend).to_contain_text("Ann (6)")
    expect(legend).to_contain_text("Bob (21)")
    colours = coloured.evaluate_all(
        "(all) => all.map((each) => getComputedStyle(each).backgroundColor)"
    )
    assert colours[0] != colours[1] == colours[2] != "rgba(0, 0, 0, 0)"
    # The legend has the colours of the text.
    [of_ann, of_bob] = legend.locator(".collab-history-colour").evaluate_all(
        "(all) => all.map((each) => getComputedStyle(each).backgroundColor)"
    )
    assert [of_ann, of_bob] == colours[:2]
    entry(bob, "Monday").click()
    put_caret(bob, "By Ann, and by Bob strongly")
    bob.page.keyboard.type("!")
    bob.expect_state("saved")
    entry(bob, "Monday").click()
    press(bob, "Changes since then")
    added = shown(bob).locator("ins")
    expect(added).to_have_text(["!"])
    assert added.evaluate("(each) => getComputedStyle(each).backgroundColor") == colours[1]
