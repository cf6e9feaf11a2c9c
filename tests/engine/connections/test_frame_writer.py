"""Small frames are written at once to a client that reads."""

from __future__ import annotations

import pytest

from collab.engine.connections.frame_writer import LARGE, FrameWriter, shared_frame
from tests.engine.transports import Pipe


def open_writer() -> tuple[FrameWriter, Pipe]:
    pipe = Pipe()
    writer = FrameWriter(pipe)
    writer.is_open = True
    return writer, pipe


def test_a_small_frame_is_written_as_often_as_it_is_due() -> None:
    writer, pipe = open_writer()
    assert writer.write(b"one")
    assert writer.write("two", 2)
    assert b"".join(pipe.written) == b"\x82\x03one" + 2 * b"\x81\x03two"


def test_large_frames_and_texts_without_encoding_are_left_to_the_websocket() -> None:
    writer, pipe = open_writer()
    assert not writer.write(bytes(LARGE))
    assert not writer.write("\ud83e")
    assert not pipe.written


def test_nothing_is_written_before_it_is_open_or_once_the_connection_ends() -> None:
    pipe = Pipe()
    assert not FrameWriter(pipe).write(b"early")
    writer, pipe = open_writer()
    pipe.close()
    assert not writer.write(b"late")
    assert not pipe.written


def test_a_message_for_many_is_encoded_once() -> None:
    payload = b"for all"
    assert shared_frame(payload) is shared_frame(payload)
    with pytest.raises(UnicodeEncodeError):
        shared_frame("\ud83e")
