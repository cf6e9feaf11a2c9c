"""A text that a row's text is written into changes as little as it can."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text

from collab.documents.merging.texts import merge_text, write_text

#: Few letters, so that texts have much in common; of one to four bytes, and one that combines.
texts = st.text("ab \n\u0301é日😀", max_size=40)


def new_text(content: str) -> tuple[Doc[Any], Text]:
    doc = Doc[Any]()
    text = doc.get("text", type=Text)
    text += content
    return doc, text


def written(there: str, before: str, now: str) -> str:
    _, text = new_text(there)
    write_text(text, before, now)
    return str(text)


@contextmanager
def edits(text: Text) -> Iterator[list[dict[str, Any]]]:
    """Note what is done to a text in the block."""
    deltas: list[dict[str, Any]] = []
    subscription = text.observe(lambda event: deltas.extend(cast("Any", event).delta))
    yield deltas
    text.unobserve(subscription)


@given(texts, texts)
def test_untouched_text_becomes_that_of_the_row(before: str, now: str) -> None:
    assert written(before, before, now) == now


@given(texts, texts)
def test_text_that_is_right_already_stays(before: str, now: str) -> None:
    assert written(now, before, now) == now


@given(texts, texts, st.integers(0, 40), st.sampled_from(["X", "XYX", "ZZ"]))
def test_text_typed_meanwhile_stays(before: str, now: str, at: int, typed: str) -> None:
    there = before[:at] + typed + before[at:]
    result = written(there, before, now)
    # None of these letters is in the others.
    assert result.replace("X", "").replace("Y", "").replace("Z", "") == now
    assert "".join(letter for letter in result if letter in "XYZ") == typed


@given(texts, texts, texts)
def test_texts_that_have_diverged_can_be_written(there: str, before: str, now: str) -> None:
    written(there, before, now)


@pytest.mark.parametrize(
    ("there", "before", "now", "expected"),
    [
        ("one two!", "one two", "one 2", "one 2!"),
        ("ab", "ab", "aXb", "aXb"),
        ("a-b", "ab", "aXb", "aX-b"),
        ("on 😀 sunny day", "on a sunny day", "on a rainy day", "on 😀 rainy day"),
        ("", "gone", "gone home", " home"),
        ("first\nsecond", "", "third\n", "third\nfirst\nsecond"),
        ("first\n2nd\nlast", "first\nlast", "FIRST\nlast", "FIRST\n2nd\nlast"),
    ],
)
def test_positions_are_carried_over(there: str, before: str, now: str, expected: str) -> None:
    assert written(there, before, now) == expected


def test_only_what_differs_is_edited() -> None:
    _, text = new_text("The quick brown fox\njumps over\nthe lazy dog.\n")
    with edits(text) as deltas:
        write_text(text, str(text), "The quick shy fox\njumps over\nthe lazy cat.\n")
    assert sorted(str(delta) for delta in deltas if "retain" not in delta) == [
        "{'delete': 3}",
        "{'delete': 5}",
        "{'insert': 'cat'}",
        "{'insert': 'shy'}",
    ]


def test_embedded_objects_and_formats_stay() -> None:
    _, text = new_text("one two")
    text.insert_embed(3, {"image": "x"})
    text.format(0, 3, {"bold": True})
    write_text(text, "one two", "one 2😀")
    assert text.diff() == [("one", {"bold": True}), ({"image": "x"}, None), (" 2😀", None)]


def test_long_texts_are_compared_line_by_line_in_little_time() -> None:
    before = [f"line {number}\n\n" for number in range(20_000)]
    now = [
        line.replace("line", "LINE") if number % 100 == 0 else line
        for number, line in enumerate(before)
    ]
    _, text = new_text("".join(before))
    began = time.process_time()
    with edits(text) as deltas:
        write_text(text, "".join(before), "".join(now))
    assert time.process_time() - began < 5
    assert str(text) == "".join(now)
    assert sum(len(delta["insert"]) for delta in deltas if "insert" in delta) == 4 * 200


@pytest.mark.parametrize("unit", ["a", "ab", "a ", "a\n", "😀"])
def test_repetitive_texts_take_little_time(unit: str) -> None:
    before, now = unit * 20_000, "x" + unit * 19_000 + "x"
    began = time.process_time()
    assert written(before, before, now) == now
    assert time.process_time() - began < 5


def test_long_texts_with_nothing_in_common_are_replaced() -> None:
    before = "".join(f"{number} " for number in range(1_000))
    now = "".join(f"{number} " for number in range(2_000, 1_000, -1))
    assert written(before, before, now) == now


def test_a_change_that_both_sides_made_is_made_once() -> None:
    assert merge_text("a", "a b", "a b") == "a b"
