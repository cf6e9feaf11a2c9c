"""Maps and arrays compared by value."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collab.history.comparing.values import compare_values

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["a", "a b", "b"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=12,
)


def found(old: Any, new: Any) -> list[tuple[str, Any, Any, Any, Any]]:
    return [
        (change.kind.value, change.old_path, change.new_path, change.old, change.new)
        for change in compare_values(old, new, "root")
    ]


def test_keys_and_items_are_compared_at_each_depth() -> None:
    old = {"a": 1, "gone": True, "list": [1, {"x": 1}, 3], "same": [1]}
    new = {"a": 2, "list": [1, {"x": 2}, 3, 4], "new": None, "same": [1]}
    assert found(old, new) == [
        ("changed", ("a",), ("a",), 1, 2),
        ("removed", ("gone",), None, True, None),
        ("changed", ("list", 1, "x"), ("list", 1, "x"), 1, 2),
        ("added", None, ("list", 3), None, 4),
        ("added", None, ("new",), None, None),
    ]
    assert found([1, 2, 3], [1, 3]) == [("removed", (1,), None, 2, None)]


def test_texts_have_their_letters() -> None:
    [change] = compare_values({"title": "My page"}, {"title": "Our page"}, "root")
    assert [(piece.kind.value, piece.text) for piece in change.pieces] == [
        ("removed", "My"),
        ("added", "Our"),
        ("kept", " page"),
    ]


def test_true_is_not_one() -> None:
    assert found({"a": 1}, {"a": True}) == [("changed", ("a",), ("a",), 1, True)]


@given(VALUES, VALUES)
def test_only_values_that_differ_have_changes(old: Any, new: Any) -> None:
    assert found(old, old) == []
    assert bool(found(old, new)) == (repr_of(old) != repr_of(new))


def repr_of(value: Any) -> str:
    """Return the same for equal values, whatever the order of their keys."""
    if isinstance(value, dict):
        return repr({key: repr_of(value[key]) for key in sorted(value)})
    return repr([repr_of(item) for item in value] if isinstance(value, list) else value)
