from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Decoder

from collab.exceptions import ProtocolViolation
from collab.hocuspocus.frames import (
    MAX_ADDRESS_SIZE,
    TokenFrame,
    authenticated_frame,
    close_frame,
    denied_frame,
    document_name,
    prefix_of,
    read_text,
    read_token,
    split,
    stateless_frame,
    status_frame,
    token_request_frame,
)

from .client import AUTH, AUTHENTICATED, CLOSE, DENIED, STATELESS, STATUS, TOKEN, encoded

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


# Reading.


@given(texts, st.binary(min_size=1, max_size=10))
def test_a_frame_is_split_behind_its_address(address: str, message: bytes) -> None:
    frame = encoded(address) + message
    assert split(frame) == (address.encode(), len(encoded(address)))
    assert prefix_of(address.encode()) == encoded(address)


@given(st.binary(max_size=20))
def test_a_frame_of_any_bytes_is_split_or_refused(frame: bytes) -> None:
    try:
        address, position = split(frame)
    except ProtocolViolation:
        return
    assert 0 < position < len(frame)
    assert frame[:position].endswith(address)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x01",
        b"\x01a",
        b"\x80",
        b"\x05ab",
        b"\xff" * 12,
        encoded("a" * 200),
        encoded("a" * (MAX_ADDRESS_SIZE + 1), 0),
    ],
)
def test_a_frame_without_an_address_and_a_message_is_refused(frame: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        split(frame)


@given(texts.filter(lambda text: "\0" not in text), texts)
def test_the_document_of_a_session_is_named_before_nul(name: str, session: str) -> None:
    assert document_name(name.encode()) == name
    assert document_name(f"{name}\0{session}".encode()) == name


def test_an_address_that_is_no_text_is_refused() -> None:
    with pytest.raises(ProtocolViolation):
        document_name(b"\xff")


@given(texts, st.none() | texts)
def test_tokens_are_read_as_clients_write_them(token: str, version: str | None) -> None:
    frame = encoded(TOKEN, token, *([] if version is None else [version]))
    assert read_token(frame, 0) == TokenFrame(token, version)


@pytest.mark.parametrize("frame", [b"", encoded(DENIED, "no"), b"\0\x05ab", b"\0\x01\xff"])
def test_an_auth_message_without_a_token_is_refused(frame: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_token(frame, 0)


@given(texts)
def test_texts_are_read(text: str) -> None:
    assert read_text(b"x" + encoded(text) + b"y", 1) == (text, len(encoded(text)) + 1)


# Writing.


@given(texts)
def test_frames_are_what_other_implementations_read(text: str) -> None:
    assert authenticated_frame(text) == encoded(AUTH, AUTHENTICATED, text)
    assert denied_frame(text) == encoded(AUTH, DENIED, text)
    assert stateless_frame(text) == encoded(STATELESS, text)
    assert close_frame(text) == encoded(CLOSE, text)
    decoder = Decoder(close_frame(text))
    assert (decoder.read_var_uint(), decoder.read_var_string()) == (CLOSE, text)


def test_statuses_and_questions_are_two_bytes() -> None:
    assert status_frame(True) == encoded(STATUS, 1)
    assert status_frame(False) == encoded(STATUS, 0)
    assert token_request_frame() == encoded(AUTH, TOKEN)
