"""Lines compared by letters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collab.content.trees import Node
from collab.history.comparing.changes import Piece, PieceKind
from collab.history.comparing.lines import TextLine, compare_lines, compare_texts, pieces_of

WORDS = st.lists(
    st.sampled_from(["one", "two ", " ", "😀", "é", "日本", "\ufffc", "-"]), max_size=20
)
BOLD, ITALIC = {"type": "bold"}, {"type": "italic"}


def shown(pieces: list[Piece]) -> list[tuple[str, str]]:
    return [(piece.kind.value, piece.text) for piece in pieces]


@given(WORDS, WORDS)
def test_pieces_are_both_texts(old: list[str], new: list[str]) -> None:
    before, after = "".join(old), "".join(new)
    pieces = compare_texts(before, after)
    assert "".join(p.text for p in pieces if p.kind != PieceKind.ADDED) == before
    assert "".join(p.text for p in pieces if p.kind != PieceKind.REMOVED) == after


def test_letters_of_a_changed_word_are_found() -> None:
    assert shown(compare_texts("We meet on Monday.", "We meet on Friday.")) == [
        ("kept", "We meet on "),
        ("removed", "Mon"),
        ("added", "Fri"),
        ("kept", "day."),
    ]
    assert shown(compare_texts("one two", "one 2")) == [
        ("kept", "one "),
        ("removed", "two"),
        ("added", "2"),
    ]


def test_an_emoji_is_one_letter() -> None:
    assert shown(compare_texts("a 😀 b", "a 😁 b")) == [
        ("kept", "a "),
        ("removed", "😀"),
        ("added", "😁"),
        ("kept", " b"),
    ]


def test_a_text_of_which_little_stays_is_replaced_as_a_whole() -> None:
    old, new = "all of this is gone, and so on", "nothing of it has come back again"
    assert shown(compare_texts(old, new)) == [("removed", old), ("added", new)]


def test_a_text_that_differs_everywhere_is_replaced_as_a_whole() -> None:
    old, new = "a " * 5000, "a b " * 2500
    assert shown(compare_texts(old, new)) == [("removed", old), ("added", new)]


def text(letters: str, *marks: Node) -> Node:
    return {"type": "text", "text": letters} | ({"marks": list(marks)} if marks else {})


def test_marks_that_come_and_go_are_found() -> None:
    old = TextLine([text("one "), text("two", BOLD)])
    new = TextLine([text("one", ITALIC), text(" two", BOLD)])
    pieces = compare_lines(old, new)
    assert [(p.kind.value, p.text, [*p.old_marks], [*p.marks]) for p in pieces] == [
        ("formatted", "one", [], [ITALIC]),
        ("formatted", " ", [], [BOLD]),
        ("kept", "two", [], [BOLD]),
    ]


def test_nodes_in_a_line_are_compared_by_their_keys() -> None:
    ann, ben = ({"type": "mention", "attrs": {"id": name}} for name in ("ann", "ben"))
    again = dict(ann)
    keys = {id(ann): 1, id(ben): 2, id(again): 1}
    kept = compare_lines(TextLine([text("a"), ann], keys), TextLine([text("a"), again], keys))
    assert [(p.kind.value, p.node) for p in kept] == [("kept", None), ("kept", ann)]
    changed = compare_lines(TextLine([text("aa"), ann], keys), TextLine([text("aa"), ben], keys))
    assert [(p.kind.value, p.node) for p in changed] == [
        ("kept", None),
        ("removed", ann),
        ("added", ben),
    ]


def test_authors_are_of_added_letters() -> None:
    node = text("one two")
    new = TextLine([node], None, {id(node): [*"1111222"]})
    pieces = compare_lines(TextLine([text("one")]), new)
    assert [(p.kind.value, p.text, p.by) for p in pieces] == [
        ("kept", "one", None),
        ("added", " ", "1"),
        ("added", "two", "2"),
    ]


def test_a_whole_line_is_of_one_kind() -> None:
    assert shown(pieces_of(TextLine([text("a"), text("b", BOLD)]), PieceKind.REMOVED)) == [
        ("removed", "a"),
        ("removed", "b"),
    ]
    assert shown(pieces_of(TextLine([text("a")]), PieceKind.KEPT)) == [("kept", "a")]
    assert pieces_of(TextLine([]), PieceKind.ADDED) == []
