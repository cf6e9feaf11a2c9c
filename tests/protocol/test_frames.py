from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import (
    Awareness,
    Decoder,
    Doc,
    Map,
    YMessageType,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    handle_sync_message,
    read_message,
)

from collab.exceptions import ProtocolViolation
from collab.protocol.frames import (
    GONE,
    PresenceState,
    auth_denied_frame,
    decode_presence,
    presence_frame,
    read_bytes,
    read_varuint,
    step1_frame,
    step2_frame,
    unverified,
    update_frame,
    verified,
)
from collab_storage.updates import varuint

MAX_SAFE_INTEGER = 2**53 - 1
integers = st.integers(0, MAX_SAFE_INTEGER)


def payload_of(frame: bytes) -> bytes:
    """Return the payload of an awareness message."""
    return read_message(frame[1:])


# Integers and bytes.


@given(integers, st.binary(max_size=5), st.binary(max_size=5))
def test_integers_survive_wherever_they_stand(value: int, before: bytes, after: bytes) -> None:
    data = before + varuint(value) + after
    assert read_varuint(data, len(before)) == (value, len(data) - len(after))


def test_no_negative_integer_is_encoded() -> None:
    with pytest.raises(ValueError, match="range"):
        varuint(-1)


@given(integers)
def test_integers_are_what_other_implementations_read(value: int) -> None:
    assert Decoder(varuint(value)).read_var_uint() == value


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80", b"\xff" * 3, varuint(MAX_SAFE_INTEGER + 1), b"\x80" * 20 + b"\0"],
    ids=["nothing", "cut off", "cut off later", "beyond JavaScript", "endless"],
)
def test_bytes_that_are_not_an_integer_are_a_violation(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_varuint(data, 0)


@given(st.binary(max_size=300), st.binary(max_size=5))
def test_bytes_survive(value: bytes, after: bytes) -> None:
    data = varuint(len(value)) + value + after
    assert read_bytes(data, 0) == (value, len(data) - len(after))


@given(st.binary(min_size=1, max_size=20))
def test_bytes_that_are_cut_off_are_a_violation(value: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_bytes(varuint(len(value)) + value[:-1], 0)


@pytest.mark.parametrize("read", [read_varuint, read_bytes])
@given(data=st.binary(max_size=30), position=st.integers(0, 40))
def test_arbitrary_bytes_are_read_or_a_violation(
    read: Callable[[bytes, int], Any], data: bytes, position: int
) -> None:
    try:
        _, end = read(data, position)
    except ProtocolViolation:
        return
    assert position < end <= len(data)


# Sync and auth frames.


def test_sync_frames_are_those_of_other_implementations() -> None:
    doc: Doc[Any] = Doc()
    doc.get("map", type=Map)["key"] = 1
    assert step1_frame(doc.get_state()) == create_sync_message(doc)
    assert update_frame(doc.get_update()) == create_update_message(doc.get_update())
    question = step1_frame(Doc[Any]().get_state())
    assert step2_frame(doc.get_update()) == handle_sync_message(question[1:], doc)


def test_the_auth_frame_contains_the_reason() -> None:
    decoder = Decoder(auth_denied_frame("é no"))
    assert (decoder.read_var_uint(), decoder.read_var_uint()) == (2, 0)
    assert decoder.read_var_string() == "é no"


# Presence.

states = st.one_of(
    st.just(GONE),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3).map(
        json.dumps
    ),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3).map(
        lambda state: json.dumps(state, ensure_ascii=False)
    ),
)
presence = st.lists(st.builds(PresenceState, integers, integers, states), max_size=5)


@given(presence)
def test_presence_survives(states: list[PresenceState]) -> None:
    assert decode_presence(payload_of(presence_frame(states)), 10_000) == states


def test_presence_is_what_other_implementations_read_and_write() -> None:
    awareness = Awareness(Doc[Any]())
    awareness.set_local_state({"name": "Ann"})
    update = awareness.encode_awareness_update([awareness.client_id])
    frame = create_awareness_message(update)
    (state,) = decode_presence(payload_of(frame), 100)
    assert (state.client_id, json.loads(state.state)) == (awareness.client_id, {"name": "Ann"})
    assert presence_frame([state]) == frame
    assert frame[0] == YMessageType.AWARENESS


def encoded(state: bytes) -> bytes:
    return varuint(1) + varuint(7) + varuint(1) + varuint(len(state)) + state


def test_a_state_may_have_the_largest_size_and_no_more() -> None:
    state = b'{"a":1}'
    assert decode_presence(encoded(state), len(state))
    with pytest.raises(ProtocolViolation):
        decode_presence(encoded(state), len(state) - 1)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b'{"verified":{"name":"root"},"cursor":1}', {"cursor": 1}),
        (b'{"\\u0076erified":1,"verified":2}', {}),
        (b'{"user":{"verified":1}}', {"user": {"verified": 1}}),
    ],
)
def test_a_client_cannot_say_what_only_the_server_says(sent: bytes, kept: object) -> None:
    (state,) = decode_presence(encoded(sent), 1_000)
    assert json.loads(state.state) == kept


@pytest.mark.parametrize("state", ["{}", " { } ", '{"cursor":1}', '\n{ "a": {"verified": 2} }\n'])
def test_the_server_adds_what_it_says_to_any_state(state: str) -> None:
    assert json.loads(verified(state, '{"name":"Ann"}')) == {
        "verified": {"name": "Ann"},
        **json.loads(state),
    }
    assert verified(state, "") == state
    assert unverified(verified("{}", "1")) == "{}"


def test_every_way_to_write_null_is_the_state_of_one_who_has_left() -> None:
    assert decode_presence(encoded(b" null "), 10) == [PresenceState(7, 1, GONE)]


@pytest.mark.parametrize(
    "state",
    [b"", b"{", b"\xff", b"1", b'"text"', b"[]", b'{"a":NaN}', b'{"a":-Infinity}', b"[" * 100_000],
)
def test_a_state_that_is_no_json_object_is_a_violation(state: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode_presence(encoded(state), 1_000_000)


def test_bytes_behind_the_states_are_a_violation() -> None:
    with pytest.raises(ProtocolViolation):
        decode_presence(encoded(b"{}") + b"\0", 10)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_presence_or_a_violation(data: bytes) -> None:
    try:
        decode_presence(data, 1000)
    except ProtocolViolation:
        return


@given(presence.filter(bool), st.data())
def test_mutated_presence_is_presence_or_a_violation(
    states: list[PresenceState], data: st.DataObject
) -> None:
    payload = bytearray(payload_of(presence_frame(states)))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_presence(bytes(payload), 1000)
    except ProtocolViolation:
        return
