"""BlockNote's own extension for versions with the endpoints of the client package, in Chromium."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.acceptance.conftest import browser as browser
from tests.editor.conftest import Visit
from tests.editor.conftest import pages as pages
from tests.editor.conftest import visit as visit
from tests.harness.waiting import poll_until

pytestmark = pytest.mark.browser

TESTS = Path(__file__).parents[1]
NAME = "notes/blocknote"


def cell(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text, "styles": {}}]


#: Blocks of many kinds: with styles, attributes, children, and a table.
BLOCKS: list[dict[str, Any]] = [
    {"id": "title", "type": "heading", "props": {"level": 2}, "content": "Title 😀"},
    {
        "id": "styled",
        "type": "paragraph",
        "props": {"textAlignment": "center", "backgroundColor": "blue"},
        "content": [
            {"type": "text", "text": "plain ", "styles": {}},
            {"type": "text", "text": "bold red", "styles": {"bold": True, "textColor": "red"}},
            {"type": "link", "href": "https://example.org/", "content": "link"},
        ],
    },
    {
        "id": "list",
        "type": "bulletListItem",
        "content": "outer",
        "children": [
            {"id": "inner", "type": "numberedListItem", "content": "inner"},
            {
                "id": "done",
                "type": "checkListItem",
                "props": {"checked": True},
                "content": "done",
            },
        ],
    },
    {
        "id": "table",
        "type": "table",
        "content": {
            "type": "tableContent",
            "rows": [
                {"cells": [cell("a"), cell("b")]},
                {"cells": [cell("c"), cell("d")]},
            ],
        },
    },
    {"id": "last", "type": "paragraph", "content": "Last"},
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BlockNote and the client package as one script."""
    script = tmp_path_factory.mktemp("blocknote") / "blocknote.js"
    esbuild = TESTS / "editors/node_modules/.bin/esbuild"
    # One Yjs for all: here, and not where a module is, an alias is looked up.
    options = ["--bundle", "--log-level=error", "--alias:yjs=./node_modules/yjs"]
    subprocess.run(
        [esbuild, "blocknote/browser.js", *options, f"--outfile={script}"],
        cwd=TESTS / "js",
        check=True,
    )
    return script


def opened(visit: Visit, bundle: Path, name: str) -> Page:
    """Return a page in which a user has the document open."""
    # The policy of the project forbids the inline styles of BlockNote.
    page = visit("/admin/login/", name, bypass_csp=True).page
    page.add_script_tag(path=bundle)
    page.evaluate("name => openDocument(name)", NAME)
    return page


def call(page: Page, method: str, *args: Any) -> Any:
    return page.evaluate("([method, args]) => blocknote[method](...args)", [method, [*args]])


def expect_blocks(page: Page, blocks: list[dict[str, Any]]) -> None:
    poll_until(lambda: call(page, "blocks") == blocks)


def test_blocknote_lists_names_shows_and_restores_versions(visit: Visit, bundle: Path) -> None:
    ann, bob = (opened(visit, bundle, name) for name in ("Ann", "Bob"))
    assert ann.evaluate("blocknote.can") == [True] * 4
    call(ann, "replace", BLOCKS)
    then, then_prosemirror = call(ann, "blocks"), call(ann, "prosemirror")
    assert [block["id"] for block in then[:5]] == [block["id"] for block in BLOCKS]
    # The other user has it from the server.
    expect_blocks(bob, then)
    first = call(ann, "create", "Monday")
    assert call(ann, "names") == ["Monday"]
    assert call(ann, "version", first) == then_prosemirror

    call(bob, "moveUp", "list")
    call(bob, "update", "title", {"type": "paragraph", "content": "Other title"})
    call(bob, "update", "done", {"props": {"checked": False}})
    call(bob, "remove", "table")
    now, now_prosemirror = call(bob, "blocks"), call(bob, "prosemirror")
    assert now != then
    expect_blocks(ann, now)
    call(ann, "preview", first)
    assert call(ann, "blocks") == then
    assert call(bob, "blocks") == now
    call(ann, "exitPreview")
    assert call(ann, "blocks") == now

    call(ann, "rename", first, "Tuesday")
    call(ann, "preview", first)
    call(ann, "restore", first)
    for page in (ann, bob):
        expect_blocks(page, then)
        assert call(page, "prosemirror") == then_prosemirror
    assert call(bob, "names") == [None, "Tuesday"]
    authors = call(bob, "authors")
    assert len(authors[0]) == len(authors[1]) == 1 and authors[0] != authors[1]

    # The state before is a version, and restoring it undoes the restoration.
    before = bob.evaluate("blocknote.latest()")
    call(bob, "restore", before)
    for page in (ann, bob):
        expect_blocks(page, now)
        assert call(page, "prosemirror") == now_prosemirror
    call(bob, "removeVersion", first)
    assert call(ann, "names") == [None, None]
