"""``<collab-editor>`` in dark mode, on phones, and in languages that are written from the right."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.harness.pictures import SIDE, Picture, likeness, read_picture
from tests.harness.waiting import poll_until

from .conftest import ALL_EDITORS, EDITORS, Visit, Writer, pair

pytestmark = pytest.mark.browser

PHONE_WIDTH = 360
PHONE = {"viewport": {"width": PHONE_WIDTH, "height": 740}, "has_touch": True, "is_mobile": True}

WORDS = "Some words that are long enough for two lines on a telephone, in each of the editors."
HAS_WORDS = """([kind, words]) =>
  document.querySelector(`collab-editor[editor="${kind}"]`)?.value.includes(words)"""

#: The colours of an element's text and of what is behind it, as numbers of red, green and blue.
COLOURS = """(element) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parent = (node) => node.assignedSlot ?? node.parentElement ?? node.getRootNode().host;
  const behind = [];
  for (let node = element; node; node = parent(node)) {
    behind.unshift(getComputedStyle(node).backgroundColor);
  }
  const shown = (...colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (canvas.fillStyle of colours) canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const ground = shown("Canvas", ...behind);
  return [shown(`rgb(${ground})`, getComputedStyle(element).color), ground];
}"""

#: Whether an editor has all that was typed.
HAS_ALL = f"""(kind) =>
  document.querySelector(`[editor="${{kind}}"]`).value.includes("{"unbreakable" * 15}")
"""

CARETS = ".collaboration-carets__caret, .collab-caret, .cm-collab-caret"
#: Whether a caret is in the right half of its editor, where short words end that begin there.
IS_AT_THE_RIGHT = f"""(kind) => {{
  const host = document.querySelector(`[editor="${{kind}}"] .collab-surface`);
  const caret = (host.shadowRoot ?? host).querySelector("{CARETS}");
  const [place, box] = [caret?.getBoundingClientRect(), host.getBoundingClientRect()];
  return place?.left > box.left + box.width / 2 && place.left < box.right;
}}"""


def luminance(colour: list[int]) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    parts = [part / 255 for part in colour]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(element: Locator) -> tuple[float, float]:
    """Return the contrast of a text with its ground, and the luminance of the ground."""
    colours: list[list[int]] = element.evaluate(COLOURS)
    text, ground = map(luminance, colours)
    return (max(text, ground) + 0.05) / (min(text, ground) + 0.05), ground


def boxes(writer: Writer) -> list[Any]:
    """Return where the parts of an editor are."""
    parts = ["toolbar", "body", "foot", "status", "people", "button"]
    return [
        [found.bounding_box() for found in writer.editor.locator(f"[part={part}]").all()]
        for part in parts
    ]


def expect_no_overflow(writer: Writer) -> None:
    """Fail if the page is wider than its window."""
    fits = "document.documentElement.scrollWidth <= innerWidth && innerWidth === 360"
    writer.page.wait_for_function(fits)


def test_light_and_dark_differ_in_colours_only(visit: Visit) -> None:
    path = f"/page/notes/colours?{ALL_EDITORS}"
    light, dark = (visit(path, color_scheme=scheme) for scheme in ("light", "dark"))
    for writer, is_dark in ((light, False), (dark, True)):
        writer.expect_state("saved")
        expect(writer.button("Bold")).to_be_visible()
        expect(writer.editor.locator(".status")).to_have_text("Saved")
        texts = [*map(writer.text_of, EDITORS), writer.editor.locator(".status")]
        for text in [*texts, writer.button("Bold")]:
            expect(text).to_be_visible()
            ratio, ground = contrast(text)
            assert ratio >= 4.5
            assert (ground < 0.1) == is_dark
    poll_until(lambda: boxes(light) == boxes(dark))


def test_nothing_is_wider_than_a_phone(visit: Visit) -> None:
    ann, bob = pair(visit, f"/page/notes/phone?{ALL_EDITORS}", **PHONE)
    for kind in EDITORS:
        ann.text_of(kind).click()
        ann.page.keyboard.type("unbreakable" * 15)
        expect(bob.cursors(kind)).to_have_text("Ann")
        bob.page.wait_for_function(HAS_ALL, arg=kind)
        for writer in (ann, bob):
            expect_no_overflow(writer)
    ann.expect_state("saved")
    ann.line.cut()
    ann.expect_state("offline")
    expect_no_overflow(ann)


def written(visit: Visit, name: str, **options: Any) -> str:
    """Write a few words into an editor of each kind, and return the path of the page."""
    path = f"/page/notes/{name}?{ALL_EDITORS}"
    ann = visit(path, "Ann", **options)
    for kind in EDITORS:
        ann.text_of(kind).click()
        expect(ann.text_of(kind)).to_be_focused()
        ann.page.keyboard.type(WORDS)
        ann.page.wait_for_function(HAS_WORDS, arg=[kind, WORDS])
    ann.expect_state("saved")
    ann.page.context.close()
    return path


def taken(writer: Writer) -> Picture:
    """Take a picture of the whole page, once all texts and nobody else are there."""
    for kind in EDITORS:
        writer.page.wait_for_function(HAS_WORDS, arg=[kind, WORDS])
        editor = writer.page.locator(f'collab-editor[editor="{kind}"]')
        expect(editor).to_have_attribute("data-state", "saved")
        expect(editor.locator("#people li")).to_have_count(1)
    expect(writer.button("Bold")).to_be_visible()
    return read_picture(writer.page, writer.page.screenshot(full_page=True))


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_pictures_of_light_and_dark_show_the_same_at_the_same_places(
    visit: Visit, options: dict[str, Any]
) -> None:
    path = written(visit, "pictures", **options)
    light, dark = (
        taken(visit(path, "Bob", color_scheme=scheme, **options)) for scheme in ("light", "dark")
    )
    assert light.size == dark.size
    assert light.brightness > 0.8 and dark.brightness < 0.2
    assert likeness(light, dark) > 0.9


def test_a_picture_of_a_phone_has_margins_on_both_sides(visit: Visit) -> None:
    path = written(visit, "margins")
    phone = taken(visit(path, "Bob", **PHONE))
    assert phone.size[0] == PHONE_WIDTH
    columns = PHONE_WIDTH // SIDE
    for column in (0, columns - 1):
        assert not any(phone.details[column::columns])


def test_buttons_are_large_enough_for_a_finger_and_all_in_one_row(visit: Visit) -> None:
    ann = visit("/page/notes/phone-table", "Ann", **PHONE)
    ann.expect_state("saved")
    ann.text.click()
    last = ann.button("Table")
    last.click()
    expect(ann.button("Delete table")).to_be_attached()
    expect_no_overflow(ann)
    toolbar = ann.editor.get_by_role("toolbar", name="Format")
    sizes = [button.bounding_box() for button in toolbar.get_by_role("button").all()]
    assert len(sizes) > 20
    assert all(box and box["width"] >= 40 and box["height"] >= 40 for box in sizes)
    assert len({box and box["y"] for box in sizes}) == 1


def test_from_the_right_all_is_mirrored(visit: Visit) -> None:
    left, right = (visit(f"/page/notes/rtl-{lang}", locale=lang) for lang in ("en", "ar"))
    for writer, is_mirrored in ((left, False), (right, True)):
        writer.expect_state("saved")
        direction = writer.page.evaluate("document.documentElement.dir")
        assert direction == ("rtl" if is_mirrored else "ltr")
        writer.text.click()
        writer.page.keyboard.type("- שלום\n\nאחד")
        item, text = writer.text.locator("li p"), writer.text.locator("> p").last
        expect(item).to_contain_text("שלום")
        expect(text).to_contain_text("אחד")
        buttons = writer.editor.locator("[part=button]")
        places = {
            "button": [buttons.nth(0), buttons.nth(5)],
            "foot": [writer.editor.locator(".status"), writer.editor.locator(".people")],
        }
        for first, second in places.values():
            one, two = first.bounding_box(), second.bounding_box()
            assert one and two
            assert (one["x"] > two["x"]) == is_mirrored
        # The marks of a list are where its lines begin.
        outer, inner = text.bounding_box(), item.bounding_box()
        assert outer and inner
        ends = (inner["x"] - outer["x"], outer["x"] + outer["width"] - inner["x"] - inner["width"])
        assert (ends[1] > ends[0]) == is_mirrored


def test_from_the_right_carets_are_where_the_text_is(visit: Visit) -> None:
    ann, bob = pair(visit, f"/page/notes/rtl-carets?{ALL_EDITORS}", locale="ar")
    for kind in EDITORS:
        ann.text_of(kind).click()
        ann.page.keyboard.type("שלום")
        expect(bob.cursors(kind)).to_have_text("Ann")
        bob.page.wait_for_function(IS_AT_THE_RIGHT, arg=kind)
