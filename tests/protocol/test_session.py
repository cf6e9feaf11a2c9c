from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Decoder

from collab import __version__
from collab.access import Access
from collab.conf import Settings
from collab.exceptions import ProtocolViolation, TooBig
from collab.protocol.effects import (
    Effect,
    PresenceChange,
    PresenceRequest,
    Reply,
    RoomUpdate,
    StateRequest,
)
from collab.protocol.frames import (
    PresenceState,
    presence_frame,
    step1_frame,
    step2_frame,
    update_frame,
)
from collab.protocol.json_frames import json_frame
from collab.protocol.session import Session
from collab_storage.updates import varuint
from tests.protocol.yjs import poison
from tests.protocol.yjs.samples import HELLO, new_doc

HELLO_REQUEST = '{"action": "hello", "request_id": 1}'


def session(access: Access = Access.WRITE, **limits: Any) -> Session:
    return Session(access, Settings(**limits), durable=True)


def answer(session: Session, request: str) -> dict[str, Any]:
    effect = session.receive_text(request)
    assert isinstance(effect, Reply)
    reply: dict[str, Any] = json.loads(effect.frame)
    assert reply.keys() == {"action", "request_id", "data", "errors", "response_status"}
    return reply


def update_in(effect: Effect[Any]) -> tuple[bytes, int, bool]:
    """Return the bytes and the number of an update, and whether it is a whole document."""
    assert isinstance(effect, RoomUpdate)
    return effect.data, effect.number, effect.is_whole


# Binary frames.


def test_changes_are_numbered_from_one_whatever_their_kind() -> None:
    member = session()
    assert update_in(member.receive_bytes(step2_frame(HELLO))) == (HELLO, 1, True)
    assert update_in(member.receive_bytes(update_frame(HELLO))) == (HELLO, 2, False)


def test_only_the_answer_to_a_step_1_may_be_larger_than_a_frame() -> None:
    document = new_doc("x" * 2_000).get_update()
    member = session(MAX_FRAME_SIZE=1_000, MAX_DOCUMENT_SIZE=len(document))
    assert update_in(member.receive_bytes(step2_frame(document)))[0] == document
    for frame, limit in (
        (update_frame(document), "MAX_FRAME_SIZE"),
        (step2_frame(document + bytes(20)), "MAX_DOCUMENT_SIZE"),
    ):
        with pytest.raises(TooBig) as raised:
            member.receive_bytes(frame)
        assert raised.value.limit == limit


def test_questions_are_distinguished_from_changes() -> None:
    member = session()
    state = new_doc(HELLO).get_state()
    assert member.receive_bytes(step1_frame(state)) == StateRequest(state)
    assert member.receive_bytes(b"\3") == PresenceRequest()


def test_presence_is_decoded() -> None:
    states = [PresenceState(7, 1, "{}")]
    assert session().receive_bytes(presence_frame(states)) == PresenceChange(states)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x80",
        b"\0",
        b"\0\0",
        b"\0\3\1\0",
        b"\2\0\0",
        b"\4",
        update_frame(HELLO)[:-1],
        update_frame(HELLO) + b"\0",
        update_frame(b"no update"),
        step2_frame(poison.ENDLESS),
        step1_frame(b"no state"),
        presence_frame([]) + b"\0",
        presence_frame([PresenceState(7, 1, "[]")]),
    ],
    ids=lambda frame: frame.hex() or "empty",
)
def test_a_frame_outside_the_protocol_is_a_violation(frame: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        session().receive_bytes(frame)


def test_large_presence_is_a_violation() -> None:
    frame = presence_frame([PresenceState(7, 1, json.dumps({"name": "x" * 20}))])
    with pytest.raises(ProtocolViolation):
        session(MAX_PRESENCE_SIZE=20).receive_bytes(frame)


def test_a_frame_may_have_the_largest_size_and_no_more() -> None:
    frame = update_frame(HELLO)
    assert session(MAX_FRAME_SIZE=len(frame)).receive_bytes(frame)
    with pytest.raises(TooBig):
        session(MAX_FRAME_SIZE=len(frame) - 1).receive_bytes(frame)
    with pytest.raises(TooBig):
        session(MAX_FRAME_SIZE=10).receive_text(HELLO_REQUEST)


def test_a_text_may_have_fewer_bytes_than_a_frame() -> None:
    text = '{"action": "größer"}'
    size = len(text.encode())
    assert session(MAX_TEXT_SIZE=size).receive_text(text)
    with pytest.raises(TooBig) as raised:
        session(MAX_TEXT_SIZE=size - 1).receive_text(text)
    assert raised.value.limit == "MAX_TEXT_SIZE"


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_a_frame_or_a_violation(frame: bytes) -> None:
    try:
        session().receive_bytes(frame)
    except ProtocolViolation:
        return


@given(st.sampled_from([0, 1]), st.sampled_from([0, 1, 2]), st.binary(max_size=60))
def test_arbitrary_payloads_are_a_frame_or_a_violation(
    kind: int, sync_kind: int, payload: bytes
) -> None:
    start = bytes((kind, sync_kind)) if kind == 0 else bytes((kind,))
    try:
        session().receive_bytes(start + varuint(len(payload)) + payload)
    except ProtocolViolation:
        return


# Readers.


def test_a_reader_is_informed_once_that_it_may_not_write() -> None:
    member = session(Access.READ)
    reply = member.receive_bytes(update_frame(HELLO))
    assert isinstance(reply, Reply)
    assert isinstance(reply.frame, bytes)
    decoder = Decoder(reply.frame)
    assert (decoder.read_var_uint(), decoder.read_var_uint()) == (2, 0)
    assert "read" in (decoder.read_var_string() or "")
    assert member.receive_bytes(update_frame(HELLO)) is None
    assert member.receive_bytes(step2_frame(HELLO)) is None


def test_a_reader_that_said_hello_is_informed_in_json() -> None:
    member = session(Access.READ)
    answer(member, HELLO_REQUEST)
    reply = member.receive_bytes(update_frame(HELLO))
    assert isinstance(reply, Reply)
    told = json.loads(reply.frame)
    assert (told["action"], told["response_status"], told["request_id"]) == ("update", 403, None)
    assert told["errors"]
    assert member.receive_bytes(update_frame(HELLO)) is None


def test_a_readers_update_is_dropped_unread() -> None:
    assert isinstance(session(Access.READ).receive_bytes(update_frame(b"no update")), Reply)


def test_a_reader_may_ask_and_be_present() -> None:
    member = session(Access.READ)
    assert member.receive_bytes(step1_frame(b"\0")) == StateRequest(b"\0")
    assert member.receive_bytes(b"\3") == PresenceRequest()
    assert isinstance(member.receive_bytes(presence_frame([])), PresenceChange)


def test_refused_updates_count_as_the_client_counts_them() -> None:
    member = session(Access.READ)
    member.receive_bytes(update_frame(HELLO))
    member.change_access(Access.WRITE)
    assert update_in(member.receive_bytes(update_frame(HELLO))) == (HELLO, 2, False)


def test_a_change_of_access_is_sent_to_clients_that_understand_it() -> None:
    member = session(Access.READ)
    assert member.change_access(Access.WRITE) is None
    answer(member, HELLO_REQUEST)
    reply = member.change_access(Access.READ)
    assert reply is not None
    told = json.loads(reply.frame)
    assert (told["action"], told["data"]) == ("access", {"access": "read"})


def test_a_member_that_lost_its_right_to_write_is_informed_anew() -> None:
    member = session(Access.READ)
    member.receive_bytes(update_frame(HELLO))
    member.change_access(Access.WRITE)
    member.change_access(Access.READ)
    assert isinstance(member.receive_bytes(update_frame(HELLO)), Reply)


# JSON.


@pytest.mark.parametrize("request_id", ["null", "7", "-1", "0.5", "true", '"-1"', '"a \\" b"'])
def test_hello_is_answered_with_its_request_id(request_id: str) -> None:
    hello = f' {{"action": "hello", "request_id": {request_id}}}\n'
    assert answer(session(), hello)["request_id"] == json.loads(request_id)


@pytest.mark.parametrize(("access", "word"), [(Access.READ, "read"), (Access.WRITE, "write")])
@pytest.mark.parametrize("durable", [True, False])
def test_hello_is_answered_with_what_a_client_needs_to_know(
    access: Access, word: str, durable: bool
) -> None:
    member = Session(access, Settings(), durable=durable)
    assert not member.greeted
    assert answer(member, HELLO_REQUEST) == {
        "action": "hello",
        "request_id": 1,
        "data": {"access": word, "server": __version__, "durable": durable},
        "errors": [],
        "response_status": 200,
    }
    assert member.greeted


def test_an_unknown_action_is_refused_with_its_request() -> None:
    reply = answer(session(), '{"action": "dance", "request_id": "a"}')
    assert (reply["action"], reply["request_id"]) == ("dance", "a")
    assert reply["response_status"] == 405
    assert reply["errors"]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "hello",
        "{",
        "[]",
        "1",
        "null",
        '"action"',
        "[" * 100_000,
        # What cannot be sent back: JSON has no such numbers, nor is all that can be read written.
        '{"action": "hello", "request_id": NaN}',
        '{"action": "hello", "request_id": 1e999}',
        '{"action": "hello", "request_id": ' + "[" * 900 + "]" * 900 + "}",
    ],
)
def test_a_text_frame_that_is_not_a_request_is_answered_with_an_error(frame: str) -> None:
    member = session()
    reply = answer(member, frame)
    assert (reply["action"], reply["response_status"]) == (None, 400)
    assert reply["errors"]
    assert not member.greeted


@pytest.mark.parametrize("frame", ["{}", '{"action": 1}', '{"action": null, "request_id": 7}'])
def test_a_request_without_an_action_is_answered_with_its_id(frame: str) -> None:
    reply = answer(session(), frame)
    assert (reply["action"], reply["response_status"]) == (None, 405)
    assert reply["request_id"] == json.loads(frame).get("request_id")
    assert reply["errors"] == ["Unable to find action in message body."]


@pytest.mark.parametrize(
    "value", ['"\\ud800"', '{"\\uDC00": 1}', '["\ud800"]', "NaN", "[-Infinity]", '"\\ude00\\ud83d"']
)
def test_a_value_that_cannot_be_sent_on_is_refused(value: str) -> None:
    reply = answer(session(), f'{{"action": "hello", "request_id": 1, "more": {value}}}')
    assert (reply["response_status"], reply["request_id"]) == (400, None)


def test_characters_may_be_escaped() -> None:
    request = '{"action": "hello", "request_id": "\\ud83d\\ude00\\u00e9"}'
    assert answer(session(), request)["request_id"] == "\U0001f600\u00e9"


@given(st.text(max_size=50))
def test_arbitrary_text_is_answered(frame: str) -> None:
    answer(session(), frame)


def test_all_json_frames_have_one_shape() -> None:
    assert json.loads(json_frame("saved", data={"count": 3})) == {
        "action": "saved",
        "request_id": None,
        "data": {"count": 3},
        "errors": [],
        "response_status": 200,
    }


# Versions.


def greet(member: Session, **fields: Any) -> dict[str, Any]:
    hello = json.dumps({"action": "hello", "request_id": 1, **fields})
    data: dict[str, Any] = answer(member, hello)["data"]
    return data


@pytest.mark.parametrize("said", [2, 3, 2.0, None, "1", True])
def test_a_client_that_says_no_older_version_may_write(said: object) -> None:
    member = session()
    member.version = 2
    assert greet(member, version=said)["access"] == "write"


@pytest.mark.parametrize("greeted", [False, True])
def test_a_client_of_an_older_version_may_only_read_whatever_the_project_says(
    greeted: bool,
) -> None:
    member = session()
    member.version = 2
    data = greet(member, version=1)
    assert (data["access"], data["version"]) == ("read", 2)
    reply = member.change_access(Access.WRITE)
    assert reply is not None
    assert json.loads(reply.frame)["data"] == {"access": "read"}
    member.greeted = greeted
    refused = member.receive_bytes(update_frame(HELLO))
    assert isinstance(refused, Reply)
    frame = refused.frame
    assert "reload it to change" in (frame if isinstance(frame, str) else frame.decode())
