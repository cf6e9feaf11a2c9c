from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText, get_state

from collab.exceptions import ProtocolViolation
from collab.protocol.yjs.validation import check_state, check_structure
from collab_storage.updates import state_vector, varuint
from tests.protocol.yjs import poison

#: A document that Yjs 13 wrote: every kind of content and of value that it has, and deletions.
YJS_DOCUMENT = bytes.fromhex(
    "021bac020004010174016884ac020006f09f9880c3a946ac020004626f6c640474727565c6ac0200ac020104626f"
    "6c64046e756c6c45ac02040d7b22696d616765223a5b315d7d2801016d0169017d452801016d0362696701"
    "7a10000000000000002801016d0166017c3f0000002801016d0164017b3fb999999999999a2801016d017401"
    "782801016d016e017e2801016d0175017f2801016d016c0175027d017601016f75002301016d01620201022801"
    "016d016f01760101617401032901016d0373756204677569647601046d6574617601017a7d012701016d0561727"
    "26179002701016d036d6170012701016d0474657874020400ac0214017108010161027d017701780701017803017"
    "00700ac0218060400ac02190268692800ac0218016301770164a7ac020904a8ac0207017d060207002101016d01"
    "6b01000102ac0204000104020701090107010002"
)
#: Two of three updates that Yjs merged: a skip stands for the one between them.
YJS_GAP = bytes.fromhex("010308000401017401610a01440801016300")


def one(*structs: str, clock: int = 0) -> bytes:
    """Return an update of client 2 with these structs, in hexadecimal."""
    return bytes((1, len(structs), 2, clock)) + bytes.fromhex("".join(structs)) + b"\0"


@pytest.mark.parametrize("update", [b"\0\0", YJS_DOCUMENT, YJS_GAP, poison.RAISING])
def test_updates_that_yjs_writes_pass(update: bytes) -> None:
    get_state(update)
    check_structure(update)


@pytest.mark.parametrize(
    ("update", "why"),
    [
        (b"", "empty"),
        (b"\0", "no deletions"),
        (b"\0\0\0", "bytes behind the end"),
        (YJS_DOCUMENT[:-1], "cut off"),
        (poison.ENDLESS, "two sections of one client"),
        (poison.PANICKING, "a section without structs"),
        (poison.POISONING, "a struct of no length"),
        (poison.SILENTLY_POISONING, "a struct of no length after a gap"),
        (poison.CORRUPTING, "a list of JSON strings"),
        (one("0401017400"), "an empty string"),
        (one("0101017400"), "a deletion of no length"),
        (one("0801017400"), "no values"),
        (one("0a00"), "a skip of no length"),
        (one("2001", "00"), "garbage with a key"),
        (one("800100"), "garbage with an origin"),
        (one("0b0101740001000100"), "a move"),
        (one("0701017405016b"), "an XmlHook"),
        (one("0701017407"), "an unknown type"),
        (one("0402"), "neither a root nor a parent"),
        (one("8402000161"), "an item behind itself"),
        (one("c4010501050161"), "an item behind and before the same"),
        (one("4402010161"), "an item before one that is still to come"),
        (one("0400020101"), "an item inside itself"),
        (one("080101740150"), "an unknown value"),
        (one("00ffffffff07", clock=2), "a clock of more than 31 bits"),
        (b"\0\1\2\1\0\0", "deletions of no length"),
        (b"\0\1\2\1\2\xff\xff\xff\xff\7", "deletions of more than 31 bits"),
        (b"\0\1" + b"\x80" * 8 + b"\1\0", "a number of more than 56 bits"),
    ],
)
def test_updates_that_yjs_does_not_write_are_refused(update: bytes, why: str) -> None:
    with pytest.raises(ProtocolViolation):
        check_structure(update)


def test_values_may_be_nested_as_deep_as_documents_are_and_not_as_deep_as_stacks() -> None:
    check_structure(poison.deep_value(64))
    # 100 000 levels end the process if pycrdt sees them.
    for depth in (65, 100_000):
        with pytest.raises(ProtocolViolation):
            check_structure(poison.deep_value(depth))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_pass_or_are_a_violation(data: bytes) -> None:
    try:
        check_structure(data)
    except ProtocolViolation:
        return


@given(st.integers(0, len(YJS_DOCUMENT) - 1), st.integers(0, 255))
def test_a_mutated_update_passes_or_is_a_violation(index: int, byte: int) -> None:
    mutated = bytearray(YJS_DOCUMENT)
    mutated[index] = byte
    try:
        check_structure(bytes(mutated))
    except ProtocolViolation:
        return


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
edits = st.one_of(
    st.tuples(st.just("type"), st.text(min_size=1, max_size=5)),
    st.tuples(st.just("delete"), st.none()),
    st.tuples(st.just("format"), values),
    st.tuples(st.just("set"), values | st.binary(max_size=5)),
    st.tuples(st.just("nest"), st.sampled_from([Map, Array, Text, Doc])),
    st.tuples(st.just("append"), values),
    st.tuples(st.just("markup"), st.text(max_size=5)),
)


def edit(doc: Doc[Any], what: str, value: Any) -> None:
    text, fields = doc.get("text", type=Text), doc.get("map", type=Map)
    if what == "type":
        # At an index inside a character pycrdt writes an empty string, which Yjs never does.
        text.insert(0, value)
    elif what == "delete" and len(text):
        del text[len(text) - len(str(text)[-1].encode()) :]
    elif what == "format" and len(text):
        text.format(0, len(text), {"k": value})
    elif what == "set":
        fields["k"] = value
    elif what == "nest":
        fields["n"] = value()
    elif what == "append":
        doc.get("array", type=Array).append(value)
    elif what == "markup":
        fragment = doc.get("xml", type=XmlFragment)
        fragment.children.append(XmlElement("p", {"a": value}, [XmlText(value)]))


def verdict(update: bytes, offset: int = 0) -> object:
    """Return all that is found out about an update whose structs are ``offset`` bytes late."""
    try:
        found = check_structure(update)
    except ProtocolViolation:
        return None
    sections = [
        (*section[:4], section[4] - offset, section[5] - offset) for section in found.sections
    ]
    at = found.deletions - offset
    return sections, found.needs, found.deletes, at, found.types, found.has_gaps


typed_numbers = st.one_of(st.integers(0, 3), st.integers(0, 2**31), st.integers(0, 2**60))
typed = st.builds(
    lambda client, clock, info, ids, text, end: b"".join(
        (b"\1\1", varuint(client), varuint(clock), bytes((info,)), *map(varuint, ids), text, end)
    ),
    typed_numbers,
    typed_numbers,
    st.sampled_from([0x84, 0xC4, 0x44, 0xA4, 0x04]),
    st.lists(typed_numbers, min_size=2, max_size=4),
    st.text(max_size=5).map(str.encode).map(lambda text: varuint(len(text)) + text) | st.binary(),
    st.sampled_from([b"\0", b"", b"\0\0", b"\1\1\1\0\1"]),
)


@given(typed, st.data())
@example(one("8401000161", clock=1), None)
@example(one("c401000101016100", clock=1), None)
@example(one("c4010001000161", clock=1), None)
@example(one("c4020003000161", clock=1), None)
@example(one("84010002c328", clock=1), None)
def test_typed_text_is_judged_as_any_other_update(
    update: bytes, data: st.DataObject | None
) -> None:
    if data is not None and data.draw(st.booleans()):
        changed = bytearray(update)
        changed[data.draw(st.integers(2, len(update) - 1))] = data.draw(st.integers(0, 255))
        update = bytes(changed)
    # A number that is written longer than it need be; what is found is the same, a byte later.
    assert verdict(b"\x81\0" + update[1:], offset=1) == verdict(update)


@given(st.text(min_size=1, max_size=5) | st.text("ab\x7f\x80é😀", min_size=1, max_size=5))
def test_typed_text_is_ascii_if_each_of_its_letters_is(letters: str) -> None:
    text = letters.encode()
    typed = check_structure(one("840100" + bytes((len(text), *text)).hex())).typed
    assert typed is not None
    assert typed.is_ascii == letters.isascii()


@given(st.lists(edits, max_size=12))
def test_whatever_pycrdt_writes_passes(steps: list[tuple[str, Any]]) -> None:
    doc: Doc[Any] = Doc()
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    for what, value in steps:
        edit(doc, what, value)
    doc.unobserve(subscription)
    for update in (*updates, doc.get_update()):
        outline = check_structure(update)
        assert not outline.has_gaps
    clocks = {client: end for client, _, end, *_ in outline.sections}
    assert clocks == state_vector(doc.get_state())


def test_the_outline_of_a_document_of_yjs() -> None:
    outline = check_structure(YJS_DOCUMENT)
    doc: Doc[Any] = Doc()
    doc.apply_update(YJS_DOCUMENT)
    clocks = {client: end for client, _, end, *_ in outline.sections}
    assert clocks == state_vector(doc.get_state())
    assert outline.needs == {}
    assert outline.types == 6
    assert not outline.has_gaps
    assert check_structure(YJS_GAP).has_gaps


def test_the_outline_names_the_dependencies_of_an_update() -> None:
    # Behind 1:5 and before 3:7, a child of 4:9, and something deleted.
    outline = check_structure(b"\1\2\2\0\xc4\1\5\3\7\1a\7\0\4\x09\1\1\5\2\0\1\6\2")
    assert outline.needs == {1: 6, 3: 8, 4: 10}
    assert outline.deletes == {5: 8}
    assert outline.types == 1


@pytest.mark.parametrize(("letters", "length"), [("a", 1), ("é", 1), ("😀", 2), ("a😀", 3)])
def test_clocks_count_as_javascript_does(letters: str, length: int) -> None:
    encoded = letters.encode()
    update = one("04010174" + bytes((len(encoded), *encoded)).hex())
    assert check_structure(update).sections[0][2] == length


@given(st.dictionaries(st.integers(0, 2**53 - 1), st.integers(1, 2**31 - 1), max_size=5))
def test_state_vectors_pass(clocks: dict[int, int]) -> None:
    state = varuint(len(clocks))
    for client, clock in clocks.items():
        state += varuint(client) + varuint(clock)
    Doc().get_update(state)
    check_state(state)


def test_a_state_vector_is_no_longer_and_no_shorter_than_it_says() -> None:
    # For so many clients pycrdt would set aside a quarter of a gigabyte.
    for state in (b"", b"\0\0", b"\1\1", varuint(2**27) + b"\1\1", b"\1\1" + varuint(2**31)):
        with pytest.raises(ProtocolViolation):
            check_state(state)


@given(st.binary(max_size=50))
def test_of_arbitrary_bytes_only_state_vectors_pass(data: bytes) -> None:
    try:
        check_state(data)
    except ProtocolViolation:
        return
    Doc().get_update(data)
