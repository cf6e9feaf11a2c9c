from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment

from collab.exceptions import TooBig
from collab.protocol.yjs import nesting
from collab.protocol.yjs.nesting import Nesting
from collab.protocol.yjs.validation import check_structure
from collab_storage.updates import varuint
from tests.protocol.yjs import poison
from tests.protocol.yjs.samples import changes

LIMIT = 10


class Guarded:
    """A document into which only goes what is not nested too deep."""

    def __init__(self, start: bytes = b"\0\0") -> None:
        self.doc: Doc[Any] = Doc()
        self.doc.apply_update(start)
        self.nesting = Nesting(LIMIT, self.doc.get_update)

    def take(self, update: bytes) -> None:
        self.nesting.check(check_structure(update))
        self.take_unchecked(update)

    def take_unchecked(self, update: bytes) -> None:
        with changes(self.doc) as news:
            self.doc.apply_update(update)
        for one in news:
            self.nesting.note(one)


@pytest.mark.parametrize("kind", ["map", "list", "xml"])
def test_as_many_types_may_be_inside_each_other_as_the_limit_says(kind: str) -> None:
    Guarded().take(poison.nested(LIMIT, kind))
    with pytest.raises(TooBig) as refused:
        Guarded().take(poison.nested(LIMIT + 1, kind))
    assert refused.value.limit == "MAX_NESTING"


def test_the_levels_of_several_updates_add_up() -> None:
    guarded = Guarded()
    for level in range(LIMIT):
        guarded.take(poison.nested(1, start=level))
    with pytest.raises(TooBig):
        guarded.take(poison.nested(1, start=LIMIT))
    # The document has not taken it in, so it is refused again.
    with pytest.raises(TooBig):
        guarded.take(poison.nested(1, start=LIMIT))


def test_nesting_that_was_there_before_counts() -> None:
    guarded = Guarded(poison.nested(LIMIT))
    with pytest.raises(TooBig):
        guarded.take(poison.nested(1, start=LIMIT))


def test_many_types_beside_each_other_are_not_deep() -> None:
    guarded = Guarded()
    doc: Doc[Any] = Doc()
    rows = doc.get("rows", type=Array)
    for number in range(5 * LIMIT):
        with changes(doc) as news:
            rows.append(Map({"cells": Array([Text("a"), Text("b")]), "number": number}))
        guarded.take(news[0])
    with pytest.raises(TooBig):
        guarded.take(poison.nested(LIMIT + 1))


def test_a_right_neighbour_is_as_deep_as_its_left_one() -> None:
    guarded = Guarded(poison.nested(LIMIT))
    parent = varuint(LIMIT - 2)
    # A child of the last but one, and behind it another, and in that one more.
    guarded.take(b"\1\1\3\0\x07\0\2" + parent + b"\1\0")
    guarded.take(b"\1\1\3\1\x87\3\0\1\0")
    with pytest.raises(TooBig):
        guarded.take(b"\1\1\3\2\x07\0\3\1\1\0")


def test_children_of_a_collected_parent_have_no_depth() -> None:
    guarded = Guarded(poison.nested(LIMIT))
    guarded.take(b"\0\1\2\1\0\1")
    for clock in range(LIMIT):
        guarded.take(b"\1\1\4" + bytes((clock,)) + b"\x07\1\1r\1\0")
    guarded.take(b"\1\1\3\0\x07\0\2" + varuint(LIMIT - 1) + b"\1\0")


def test_an_update_may_go_on_where_the_client_was_before() -> None:
    guarded = Guarded(poison.nested(LIMIT))
    head, root = b"\1\2\2" + varuint(LIMIT), b"\x07\1\1r\1"
    with pytest.raises(TooBig):
        guarded.take(head + root + b"\x07\0\2" + varuint(LIMIT - 1) + b"\1\0")
    guarded.take(head + root + b"\x07\0\2" + varuint(LIMIT - 2) + b"\1\0")


def test_nesting_that_server_code_adds_counts_for_later_updates() -> None:
    guarded = Guarded()
    guarded.take(poison.nested(1))
    guarded.take_unchecked(poison.nested(LIMIT - 1, start=1))
    with pytest.raises(TooBig):
        guarded.take(poison.nested(1, start=LIMIT))


def test_clients_may_put_theirs_inside_each_others() -> None:
    guarded = Guarded()
    docs: list[Doc[Any]] = [Doc(client_id=2), Doc(client_id=3)]
    inner = []
    for level in range(LIMIT + 1):
        doc, other = docs[level % 2], docs[1 - level % 2]
        fields = doc.get("map", type=Map)
        for _ in range(level):
            fields = fields["in"]
        with changes(doc) as news:
            fields["in"] = Map()
        other.apply_update(news[0])
        inner += news
    for update in inner[:LIMIT]:
        guarded.take(update)
    with pytest.raises(TooBig):
        guarded.take(inner[LIMIT])
    with pytest.raises(TooBig):
        Guarded().take(docs[0].get_update())


def test_letters_are_no_types() -> None:
    # They look like it at first glance.
    guarded = Guarded(Doc({"text": Text("g" * 1_000)}).get_update())
    for level in range(LIMIT):
        guarded.take(poison.nested(1, start=level))
    with pytest.raises(TooBig):
        guarded.take(poison.nested(1, start=LIMIT))


def test_an_update_that_cannot_be_measured_is_not_refused() -> None:
    # Server code, or what another server has stored.
    guarded = Guarded(b"\1\1\2\0\2\1\1a\1\1b\1c\0")
    for level in range(2 * LIMIT):
        guarded.take(poison.nested(1, start=level, client=5))


def test_an_update_that_cannot_be_measured_among_many_is_not_refused_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nesting, "_MAX_NEWS", 0)
    guarded = Guarded()
    guarded.take(poison.nested(1))
    guarded.nesting.note(b"\1\1\2\0\2\1\1a\1\1b\1c\0")
    guarded.take(poison.nested(1, start=1))


def test_updates_that_come_meanwhile_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nesting, "_MAX_NEWS", 3)
    guarded = Guarded()
    guarded.take(poison.nested(1))
    for level in range(1, 20):
        guarded.take_unchecked(poison.nested(1, start=level))
        assert len(guarded.nesting._news) <= 3
    with pytest.raises(TooBig):
        guarded.take(poison.nested(1, start=20))


trees: st.SearchStrategy[list[Any]] = st.recursive(
    st.just([]), lambda inner: st.lists(inner, max_size=3), max_leaves=60
)


@given(st.lists(trees, max_size=4))
def test_levels_are_those_of_the_elements(forest: list[Any]) -> None:
    doc: Doc[Any] = Doc()
    with changes(doc) as news:
        for tree in forest:
            doc.get("xml", type=XmlFragment).children.append(element(tree))
    levels = nesting._Levels()
    for update in news:
        levels.add(check_structure(update))
    whole = check_structure(doc.get_update())
    assert nesting._Levels().depth_of(whole) == max(map(depth, forest), default=0)


def element(tree: list[Any]) -> XmlElement:
    return XmlElement("p", {}, [element(child) for child in tree])


def depth(tree: list[Any]) -> int:
    return 1 + max(map(depth, tree), default=0)
