"""``<collab-editor>`` in Chromium, below a policy without inline scripts and styles."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .conftest import Visit, Writer, pair
from .samples import PNG, SVG

pytestmark = pytest.mark.browser

NODE_MODULES = Path(__file__).parents[2] / "client-js/node_modules"
#: The states of the plugins of a rich text.
STATES = """(text) => {
  const { state } = text.editor;
  return state.plugins.map((plugin) => plugin.getState(state) ?? {});
}"""
#: End the step that undo takes back.
END_STEP = (
    f"(text) => ({STATES})(text).find((each) => each.undoManager).undoManager.stopCapturing()"
)
#: Undo, and change the document as an update does before anything else happens.
UNDO_BEFORE_UPDATE = f"""(text) => {{
  const {{ binding }} = ({STATES})(text).find((each) => each.binding);
  text.editor.commands.undo();
  binding.type.get(0).get(0).insert(0, "Bob at the ");
}}"""
#: Type and read the form in one task, before the editor has had time to write its control.
TYPE_AND_READ_FORM = """(text) => {
  text.value = "Hello";
  text.dispatchEvent(new InputEvent("input", { bubbles: true }));
  const form = text.closest("form");
  return [new FormData(form).get("body"), form.elements.body.value];
}"""


def test_two_users_write_rich_text(visit: Visit) -> None:
    ann, bob = pair(visit, "/page/notes/5")
    ann.text.click()
    ann.page.keyboard.type("Hello ")
    expect(bob.text).to_contain_text("Hello")
    expect(bob.page.locator(".collaboration-carets__label")).to_have_text("Ann")
    expect(bob.editor.get_by_role("list", name="Who is here")).to_contain_text("Ann")


def test_two_users_write_plain_text(visit: Visit) -> None:
    ann, bob = pair(visit, "/page/notes/6?editor=plain")
    ann.text.press_sequentially("Hello")
    expect(bob.text).to_have_value("Hello")
    expect(bob.page.locator(".collab-caret-name")).to_have_text("Ann")
    ann.expect_state("saved")


@pytest.mark.parametrize("options", ["editor=code&language=python", "editor=markdown"])
def test_two_users_write_code_and_markdown(visit: Visit, options: str) -> None:
    ann, bob = pair(visit, f"/page/notes/7?{options}")
    ann.text.click()
    ann.page.keyboard.type("# def")
    expect(bob.text).to_contain_text("# def")
    expect(bob.page.locator(".cm-collab-name")).to_have_text("Ann")
    bob.text.click()
    bob.page.keyboard.press("End")
    bob.page.keyboard.type("!")
    expect(ann.text).to_contain_text("# def!")
    ann.page.keyboard.press("ControlOrMeta+z")
    expect(bob.text).not_to_contain_text("# def")
    expect(bob.text).to_contain_text("!")


@pytest.mark.parametrize("editor", ["rich", "plain"])
def test_undo_takes_back_own_changes_only(visit: Visit, editor: str) -> None:
    ann, bob = pair(visit, f"/page/notes/undo-{editor}?editor={editor}")

    def written(writer: Writer, text: re.Pattern[str]) -> None:
        if editor == "rich":
            expect(writer.text.locator("p")).to_have_text(text)
        else:
            expect(writer.text).to_have_value(text)

    ann.text.click()
    ann.page.keyboard.type("mine ")
    written(bob, re.compile("mine "))
    bob.text.click()
    bob.page.keyboard.press("End")
    bob.page.keyboard.type("yours")
    written(ann, re.compile("mine .*yours"))
    # Letters that were typed slowly are steps of their own.
    for _letter in "mine ":
        ann.page.keyboard.press("ControlOrMeta+z")
    written(bob, re.compile("^[^m]*yours"))


def test_an_update_right_after_undo_in_a_text_that_became_shorter_is_shown(visit: Visit) -> None:
    writers = ann, bob = pair(visit, "/page/notes/shorter")

    def expect_values(value: str) -> None:
        for writer in writers:
            writer.page.wait_for_function(
                "(value) => document.querySelector('collab-editor').value === value", arg=value
            )

    ann.text.click()
    ann.page.keyboard.type("A long line\nend")
    expect_values("<p>A long line</p><p>end</p>")
    # This step remembers where the cursor was. The text then ends before that.
    ann.text.evaluate(END_STEP)
    ann.page.keyboard.type("!")
    expect_values("<p>A long line</p><p>end!</p>")
    bob.text.evaluate("({ editor }) => editor.commands.deleteRange({ from: 0, to: 13 })")
    expect_values("<p>end!</p>")
    ann.text.evaluate(UNDO_BEFORE_UPDATE)
    expect_values("<p>Bob at the end</p>")
    # Ann's next edit keeps it.
    ann.page.keyboard.type("?")
    expect_values("<p>Bob at the end?</p>")


def test_headings_lists_tasks_and_links_by_toolbar_and_keyboard(visit: Visit) -> None:
    ann, bob = pair(visit, "/page/notes/9")
    ann.text.click()
    ann.button("Large heading").click()
    ann.page.keyboard.type("Title\n")
    ann.button("To-do list").click()
    ann.page.keyboard.type("Sow\n\n")
    ann.page.keyboard.type("- one\ntwo\n\n")
    ann.page.keyboard.press("ControlOrMeta+b")
    ann.page.keyboard.type("bold")
    ann.page.keyboard.press("ControlOrMeta+b")
    ann.page.keyboard.type(" https://example.org/a ")
    expect(bob.text.locator("h1")).to_have_text("Title")
    expect(bob.text.locator('ul[data-type="taskList"] li')).to_have_count(1)
    expect(bob.text.locator("ul:not([data-type]) li")).to_have_count(2)
    expect(bob.text.locator("strong")).to_have_text("bold")
    expect(bob.text.locator("a")).to_have_attribute("href", "https://example.org/a")
    ann.button("Link").click()
    ann.page.keyboard.type("example.com\n")
    expect(bob.text.locator("a").last).to_have_attribute("href", "https://example.com")


def test_two_users_edit_a_table(visit: Visit) -> None:
    ann, bob = pair(visit, "/page/notes/10")
    ann.text.click()
    ann.button("Table").click()
    expect(bob.text.locator("th")).to_have_count(3)
    expect(ann.button("Row below")).to_be_visible()
    ann.page.keyboard.type("a")
    ann.page.keyboard.press("Tab")
    ann.page.keyboard.type("b")
    expect(bob.text.locator("th")).to_have_text([re.compile("a"), re.compile("b"), ""])
    bob.text.locator("td").first.click()
    bob.button("Row below").click()
    bob.button("Delete column").click()
    expect(ann.text.locator("tr")).to_have_count(4)
    expect(ann.text.locator("th")).to_have_count(2)


#: Drops an image into the first paragraph, and returns whether the browser would open it.
DROP = """(text, bytes) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
  const { left, top } = text.querySelector("p").getBoundingClientRect();
  const place = { clientX: left + 1, clientY: top + 1 };
  const options = { dataTransfer, bubbles: true, cancelable: true, ...place };
  return text.dispatchEvent(new DragEvent("drop", options));
}"""


def test_images_are_chosen_pasted_dropped_and_refused(visit: Visit, tmp_path: Path) -> None:
    ann, bob = pair(visit, "/page/notes/11")
    ann.upload("dot.png", "image/png", PNG)
    image = bob.text.locator("img:not(.ProseMirror-separator)")
    expect(image).to_have_attribute("alt", "dot")
    expect(image).to_have_attribute("src", re.compile(r"^/media/collab/[0-9a-f]{32}\.png$"))
    expect(image).to_have_js_property("naturalWidth", 1)
    ann.text.evaluate(
        """(text, bytes) => {
          const clipboardData = new DataTransfer();
          const file = new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" });
          clipboardData.items.add(file);
          const options = { clipboardData, bubbles: true, cancelable: true };
          text.dispatchEvent(new ClipboardEvent("paste", options));
        }""",
        [*PNG],
    )
    expect(image).to_have_count(2)
    # The browser does not open what was dropped.
    assert ann.text.evaluate(DROP, [*PNG]) is False
    expect(image).to_have_count(3)
    expect(bob.text.locator("img[alt=dropped]")).to_have_js_property("naturalWidth", 1)
    for name, content in {"a.svg": SVG, "a.png": b"<script>alert(1)</script>"}.items():
        ann.upload(name, "image/png", content)
        ann.expect_notice("not a PNG, JPEG, GIF or WebP")
    assert len([*(tmp_path / "media/collab").iterdir()]) == 3


def test_people_are_mentioned(visit: Visit) -> None:
    ann, bob = pair(visit, "/page/notes/12?mentions_url=/people")
    ann.text.click()
    ann.page.keyboard.type("Dear @an")
    options = ann.page.get_by_role("listbox", name="People to mention").get_by_role("option")
    expect(options).to_have_text(["Ann", "Anton"])
    ann.page.keyboard.press("ArrowDown")
    ann.page.keyboard.press("Enter")
    expect(bob.text.locator('span[data-type="mention"]')).to_have_text("@Anton")
    ann.page.keyboard.type("and @x")
    expect(options).to_have_count(1)
    ann.page.keyboard.press("Enter")
    expect(bob.text.locator("img[onerror]")).to_have_count(0)
    expect(bob.text.locator('span[data-type="mention"]').last).to_contain_text("<img")


def test_readers_read_and_others_get_nothing(visit: Visit) -> None:
    ann = visit("/page/notes/15", "Ann")
    ann.text.click()
    ann.page.keyboard.type("Secret")
    ann.expect_state("saved")
    reader = visit("/page/read/15")
    reader.expect_state("reading")
    expect(reader.text).to_have_attribute("contenteditable", "false")
    expect(reader.editor.get_by_role("toolbar")).to_have_count(0)
    stranger = visit("/page/closed/15")
    stranger.expect_state("closed")
    expect(stranger.editor.get_by_role("textbox")).to_have_count(0)
    granted = visit("/page/closed/15?access=write")
    granted.expect_state("saved")
    granted.upload("dot.png", "image/png", PNG)
    expect(granted.text.locator("img:not(.ProseMirror-separator)")).to_have_count(1)


def test_without_javascript_the_rendered_text_is_shown(visit: Visit) -> None:
    ann = visit("/page/notes/17", "Ann")
    ann.text.click()
    ann.button("Large heading").click()
    ann.page.keyboard.type("Read me")
    ann.expect_state("saved")
    reader = visit("/page/notes/17", java_script_enabled=False)
    expect(reader.page.get_by_role("heading", name="Read me")).to_be_visible()


def test_a_page_names_the_element_in_an_import_map(visit: Visit) -> None:
    ann, bob = (visit("/mapped/notes/map", name) for name in ("Ann", "Bob"))
    for writer in (ann, bob):
        writer.expect_state("saved")
        expect(writer.text).to_be_visible()
    ann.text.click()
    ann.page.keyboard.type("mapped")
    expect(bob.text).to_contain_text("mapped")


def test_the_form_gets_what_was_typed_last(visit: Visit) -> None:
    for editor, sent in {"rich": "<p>Hello</p>", "plain": "Hello", "code": "Hello"}.items():
        ann = visit(f"/page/notes/form-{editor}?editor={editor}&form_field=body", "Ann")
        ann.expect_state("saved")
        ann.text.click()
        ann.page.keyboard.type("Hello")
        ann.page.on("dialog", lambda dialog: dialog.accept())
        ann.page.get_by_role("button", name="Send").click()
        expect(ann.page.locator("pre")).to_contain_text("Hello")
        assert json.loads(ann.page.locator("pre").inner_text())["body"] == sent


def test_a_script_that_reads_the_form_gets_what_was_typed_last(visit: Visit) -> None:
    ann = visit("/page/notes/form-script?editor=plain&form_field=body", "Ann")
    ann.expect_state("saved")
    assert ann.text.evaluate(TYPE_AND_READ_FORM) == ["Hello", "Hello"]


def test_a_script_that_reads_the_controls_of_a_sent_form_gets_what_was_typed_last(
    visit: Visit,
) -> None:
    ann = visit("/page/notes/form-controls?editor=plain&form_field=body", "Ann")
    ann.expect_state("saved")
    read = """(text) => {
      const form = text.closest("form");
      let found = null;
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        found = form.elements.body.value;
      });
      text.value = "Hello";
      text.dispatchEvent(new InputEvent("input", { bubbles: true }));
      form.requestSubmit();
      return found;
    }"""
    assert ann.text.evaluate(read) == "Hello"


def test_a_form_in_a_shadow_tree_gets_what_was_typed_last(visit: Visit) -> None:
    ann = visit("/page/notes/form-shadow?editor=plain&form_field=body", "Ann")
    move = """async () => {
      const html = await (await fetch(location)).text();
      const form = new DOMParser().parseFromString(html, "text/html").querySelector("form");
      const host = document.createElement("div");
      host.attachShadow({ mode: "open" }).append(form);
      document.querySelector("main").replaceChildren(host);
    }"""
    ann.page.evaluate(move)
    ann.expect_state("saved")
    expect(ann.text).to_be_editable()
    assert ann.text.evaluate(TYPE_AND_READ_FORM) == ["Hello", "Hello"]


def test_a_form_without_the_control_is_left_alone(visit: Visit) -> None:
    ann = visit("/page/notes/form-other?editor=plain&form_field=body", "Ann")
    ann.expect_state("saved")
    ann.text.press_sequentially("Hello")
    read = """(text) => {
      text.closest("form").elements.body.disabled = true;
      const other = document.createElement("form");
      other.innerHTML = '<input name="body" value="theirs">';
      document.body.append(other);
      return [new FormData(text.closest("form")).has("body"), new FormData(other).get("body")];
    }"""
    assert ann.text.evaluate(read) == [False, "theirs"]


def test_htmx_takes_editors_out_and_puts_them_in(visit: Visit) -> None:
    ann = visit("/page/notes/18", "Ann")
    ann.expect_state("saved")
    ann.page.evaluate((NODE_MODULES / "htmx.org/dist/htmx.js").read_text())
    swap = "(path) => htmx.ajax('GET', path, { target: 'main', select: 'main', swap: 'outerHTML' })"
    for digit in "012":
        ann.text.click()
        ann.page.keyboard.type(digit)
        ann.page.evaluate(swap, f"/page/notes/18?label=Text{digit}")
        expect(ann.page.get_by_role("textbox", name=f"Text{digit}")).to_be_visible()
        ann.expect_state("saved")
    for digit in "012":
        expect(ann.text).to_contain_text(digit)
