"""Two people at random work in one page: both pages, the document and the row agree in the end.

``make fuzz-editors`` works for minutes, prints the seeds, and also undoes, which makes documents
differ in Yjs itself at times: see ``docs/upstream/yjs-undo.md``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from random import Random
from time import monotonic
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.harness.waiting import poll_until

from .browsing import Enter, Visitor
from .site import Site

pytestmark = pytest.mark.browser

#: The first seed, the seconds after which no other one is begun, and the actions of each.
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
ACTIONS = int(os.environ.get("FUZZ_ACTIONS", "60"))
#: The long form undoes.
UNDOES = SECONDS > 0

EDITOR = "document.querySelector('.tiptap').editor"
#: Puts the cursor somewhere, or selects something; the numbers are parts of the text. A person's
#: cursor is never inside an emoji: half of one is no text, and reaches the others as U+FFFD.
SELECT = f"""([from, size]) => {{
  const editor = {EDITOR};
  const {{ doc }} = editor.state;
  const end = doc.content.size;
  const isInside = (at) => /[\\ud800-\\udbff]$/.test(doc.textBetween(Math.max(0, at - 1), at));
  const outside = (at) => at - Number(isInside(at));
  const start = Math.floor(from * end);
  const range = {{ from: outside(start), to: outside(Math.min(end, start + size)) }};
  editor.commands.setTextSelection(range);
  editor.view.focus();
}}"""
#: The shared document below an editor: clients' clocks, what waits for missing updates, the text.
SHARED = f"""() => {{
  const {{ doc, type }} = {EDITOR}.state["y-sync$"];
  const {{ clients, pendingStructs, pendingDs }} = doc.store;
  const clocks = [...clients].map(([client, structs]) => {{
    const {{ id, length }} = structs.at(-1);
    return [client, id.clock + length];
  }});
  return JSON.stringify({{
    clocks: Object.fromEntries(clocks),
    missing: pendingStructs && Object.fromEntries(pendingStructs.missing),
    pendingDeletions: pendingDs?.length ?? 0,
    text: type.toString(),
  }});
}}"""
CONNECTION = """() => {
  const { doc, provider } = document.querySelector("collab-editor").connection;
  const { wsconnected, synced, unsaved } = provider;
  return JSON.stringify({ client: doc.clientID, wsconnected, synced, unsaved });
}"""
PASTE = f"(html) => {EDITOR}.view.pasteHTML(html)"
TOOLS = ["Bold", "Italic", "Code", "Bullet list", "Numbered list", "To-do list", "Quote"]
TOOLS += ["Code block", "Dividing line", "Highlight", *(["Undo", "Redo"] if UNDOES else [])]
PIECES = [
    "<p>pasted <b>bold</b> and <a href='https://example.com/'>linked</a></p>",
    "<h2>A heading</h2><ul><li>one</li><li>two<ol><li>inner</li></ol></li></ul>",
    "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>",
    "plain \U0001f600 text",
    "<blockquote><p>quoted</p><pre><code>code</code></pre></blockquote>",
]
KEYS = ["Enter", "Enter", "Backspace", "Delete", "Shift+Enter", "Tab", "Shift+Tab", "ArrowLeft"]
KEYS += ["ControlOrMeta+z", "ControlOrMeta+Shift+z"] if UNDOES else []

STORED = """
import json
from collab import documents
from pages.models import Page
slug = {slug!r}
text = documents.text(slug)
print(json.dumps([documents.json(slug), text, Page.objects.get(slug=slug).text]))
"""


def act(visitor: Visitor, random: Random) -> None:
    """Do one thing at random, as a person might."""
    page = visitor.page
    match random.randrange(10):
        case 0 | 1:
            page.evaluate(SELECT, [random.random(), random.choice([0, 0, 0, 3, 12])])
        case 2 | 3 | 4:
            page.keyboard.type(
                random.choice(["word ", "a", "\u00e9\u00df ", "# ", "- ", "1. ", "**b** "])
            )
        case 5 | 6:
            page.keyboard.press(random.choice(KEYS))
        case 7 | 8:
            tool = page.get_by_role("button", name=random.choice(TOOLS), exact=True)
            if tool.is_enabled():
                tool.click()
        case 9:
            page.evaluate(PASTE, random.choice(PIECES))


def work(visitors: list[Visitor], random: Random) -> None:
    """Act at random, by one or the other; one at a time may be offline for a while."""
    away: Visitor | None = None
    for _ in range(ACTIONS):
        act(random.choice(visitors), random)
        if random.random() < 0.05:
            if away is None:
                away = random.choice(visitors)
                away.line.cut()
                away.expect_status("offline")
            else:
                away.line.mend()
                away = None
    if away is not None:
        away.line.mend()


def content(visitor: Visitor) -> Any:
    """Return the text of a page as JSON."""
    return without_defaults(
        json.loads(visitor.page.evaluate(f"JSON.stringify({EDITOR}.getJSON())"))
    )


def shared(visitor: Visitor) -> Any:
    """Return the state of the shared document below the editor of a page."""
    return json.loads(visitor.page.evaluate(SHARED))


def without_defaults(node: Any) -> Any:
    """Return JSON of an editor without attributes that have no value."""
    if isinstance(node, list):
        return [without_defaults(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: without_defaults(value) for key, value in node.items() if value not in (None, [])}
    return {key: value for key, value in kept.items() if value != {}}


def test_two_people_at_random_work_and_the_document_and_the_row_agree(
    site: Site, enter: Enter
) -> None:
    ann, bob = enter("Alice"), enter("Bob")
    for visitor in (ann, bob):
        visitor.open_page("Welcome")
    slug = ann.page.url.rstrip("/").rpartition("/")[2]
    begun, seed = monotonic(), SEED
    while seed == SEED or monotonic() - begun < SECONDS:
        print(f"seed {seed}", flush=True)
        work([ann, bob], Random(seed))
        for visitor in (ann, bob):
            visitor.expect_status("saved")
        try:
            expect_agreement(site, slug, ann, bob)
        except AssertionError:
            print_states(site, slug, ann, bob)
            raise
        seed += 1
    carol = enter("Carol")
    carol.open_page("Welcome")
    expect(carol.text).to_be_visible()
    expect_equal("a new page and an old one", lambda: (content(carol), content(ann)))


def expect_agreement(site: Site, slug: str, ann: Visitor, bob: Visitor) -> None:
    """Wait until the shared documents, the editors, the stored document and the row are equal."""
    expect_equal("the shared documents", lambda: (shared(ann), shared(bob)))
    expect_equal("the pages", lambda: (content(ann), content(bob)))
    expect_equal("the page and the document", lambda: (content(ann), stored(site, slug)[0]))
    expect_equal("the document and the row", lambda: (*stored(site, slug)[1:],))


def print_states(site: Site, slug: str, *visitors: Visitor) -> None:
    """Print all that shows at which step two pages, the document and the row came apart."""
    for visitor in visitors:
        print("page:", visitor.page.evaluate(CONNECTION), visitor.errors)
        print("shared:", json.dumps(shared(visitor)))
        print("editor:", json.dumps(content(visitor)))
    print("stored:", *map(json.dumps, stored(site, slug)), sep="\n")


def expect_equal(names: str, read: Callable[[], tuple[Any, Any]]) -> None:
    """Wait until two contents are equal; print them if they never are."""
    found = read()

    def are_equal() -> bool:
        nonlocal found
        found = read()
        return bool(found[0] == found[1])

    try:
        poll_until(are_equal)
    except AssertionError:
        print(f"{names} differ:", *map(json.dumps, found), sep="\n")
        raise


def stored(site: Site, slug: str) -> tuple[Any, str, str]:
    """Return the document as JSON and as text, and the text in the row."""
    document, text, row = json.loads(site.run(STORED.format(slug=slug)))
    return without_defaults(document), text, row
