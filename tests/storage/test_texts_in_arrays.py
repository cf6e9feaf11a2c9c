"""Arrays with text among their items, which only updates made by hand give them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text, XmlFragment, XmlText

from collab_storage.array_texts import without_array_texts
from collab_storage.render import render_json, render_text
from collab_storage.structs import read_structs

from .yjs import applied

TEXT, ARRAY, FRAGMENT = 2, 0, 4


def forged(update: bytes, *, old: int = TEXT, new: int = ARRAY, text: str = "😀x") -> bytes:
    """Return an update with the shared type that a text is in made another."""
    place = update.rindex(bytes([old]), 0, update.index(text.encode()))
    return update[:place] + bytes([new]) + update[place + 1 :]


def update_of(kind: type[Any], fill: Any) -> bytes:
    """Return the update of a document with a root that a function fills."""
    doc: Doc[Any] = Doc(client_id=1)
    fill(doc.get("root", type=kind))
    return doc.get_update()


NESTED = [
    (forged(update_of(Array, lambda root: root.append(Text("😀x")))), [[]]),
    (forged(update_of(Map, lambda root: root.update({"k": Text("😀x")}))), {"k": []}),
    (forged(update_of(Text, lambda root: root.insert_embed(0, Text("😀x")))), [[]]),
    (
        forged(update_of(XmlFragment, lambda root: root.children.append(XmlText("😀x"))), old=6),
        [[]],
    ),
]


@pytest.mark.parametrize(("update", "expected"), NESTED, ids=["array", "map", "text", "xml"])
def test_a_text_in_an_array_is_not_read(update: bytes, expected: Any) -> None:
    doc = applied([update])
    assert render_json(doc) == {"root": expected}
    assert json.loads(render_text(doc)) == expected


def test_text_behind_and_before_other_text_of_an_array_is_in_it() -> None:
    doc: Doc[Any] = Doc(client_id=1)
    root = doc.get("root", type=Array)
    root.extend([Text("x"), "after"])
    root[0].insert(0, "é")
    root[0].insert(3, "😀")
    update = forged(doc.get_update(), text="x")
    assert render_json(applied([update])) == {"root": [[], "after"]}
    assert len(list(read_structs(without_array_texts(update)))) == len(list(read_structs(update)))


def test_other_text_beside_an_array_stays() -> None:
    doc: Doc[Any] = Doc(client_id=1)
    doc.get("text", type=Text).insert(0, "a😀")
    doc.get("list", type=Array).extend(["😀", Text("😀"), Array(["😀"]), Map({"k": Text("😀")})])
    update = doc.get_update()
    assert without_array_texts(update) == update


def test_an_update_that_is_not_valid_stays_as_it_is() -> None:
    for bad in (b"", b"\1\1\1\0\x1f", NESTED[0][0][:-4]):
        assert without_array_texts(bad) == bad


def test_insertions_that_are_beside_each_other_in_a_circle_are_in_no_array() -> None:
    # An array; "😀" behind the one with the clock 3, which is behind that with the clock 1.
    update = b"\1\3\1\0\7\1\1a\0\x84\1\3\4" + "😀".encode() + b"\x84\1\1\4" + "😀".encode() + b"\0"
    assert without_array_texts(update) == update
    # An insertion behind one that nobody has.
    update = b"\1\2\1\0\7\1\1a\0\x84\2\3\4" + "😀".encode() + b"\0"
    assert without_array_texts(update) == update


def test_a_fragment_in_an_array_is_the_list_of_its_nodes() -> None:
    update = update_of(Array, lambda root: root.append(Text("😀x")))
    assert render_json(applied([forged(update, new=FRAGMENT)])) == {"root": [[]]}
