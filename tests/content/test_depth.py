"""HTML that is nested deeply or never closed: flat before it is parsed, so that this is linear."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pycrdt import Doc

from collab.content import TIPTAP, Report, from_html, to_text
from collab.content.formats.html_elements import flatten_html
from collab.content.formats.html_reader import read_html

#: Tags of one attack, repeated; parsers take quadratic time for them, or repeat some.
ATTACKS = [
    *("<div>", "<b>", "<ul><li>", "<h1><div>", "<b><div>", "<b><i><p>", "<button><p>"),
    *("<select><optgroup><option>", "<table><tr><td>", "<table><a>", "<div></foo>", "<foo>"),
    *(
        '<div x="<">',
        "<DIV\n>",
        "<div/>",
        "<div <b>",
        "<!-- <div> -->",
        "<svg><p>",
        "<font size={}>",
    ),
    *("<div><font size={}></div>", "<blockquote><p>x</p>"),
]
COUNT = 3000
#: Tags that may be open at once: blocks, and formatting.
MOST = 200 + 32


@pytest.mark.parametrize("attack", ATTACKS)
def test_tags_that_would_be_too_deep_are_left_out_and_reported(attack: str) -> None:
    dropped = Counter[str]()
    html = "".join(attack.format(index) for index in range(COUNT)) + "<p>x"
    flat = flatten_html(html, dropped)
    assert sum(dropped.values()) >= COUNT - MOST
    assert all(name.startswith("nested <") for name in dropped)
    # What is flat stays as it is: blocks that were left out have lost their ends, too.
    again = Counter[str]()
    assert flatten_html(flat, again) == flat
    assert not again


def test_text_of_elements_that_are_left_out_stays() -> None:
    doc: Doc[Any] = Doc()
    html = "".join(f"<div>{index} " for index in range(300)) + "</div>" * 300 + "<p>after"
    report = from_html(doc, None, html)
    assert report == Report(Counter({"nested <div>": 100}))
    assert to_text(doc).split() == [*map(str, range(300)), "after"]


@pytest.mark.parametrize(
    "part",
    [
        "<p>a<li>b<td>c<br><meta>",
        "<a name=x>",
        "<nobr>a",
        "<div><b>a</b><i>c</div></i>",
        "<ul><li><p>a</ul>",
        "a < b <",
        "</div></b></p>",
        "<section><div>a</section>",
    ],
)
def test_html_that_is_long_but_not_deep_stays_as_it_is(part: str) -> None:
    dropped = Counter[str]()
    assert flatten_html(part * COUNT, dropped) == part * COUNT
    assert not dropped


def test_formatting_that_is_never_closed_is_not_repeated_in_every_block() -> None:
    html = "".join(f"<div><font size={index}></div>" for index in range(COUNT)) + "<p>x" * 100
    tree, _ = read_html(html, TIPTAP)
    assert len(tree["content"]) == 100
