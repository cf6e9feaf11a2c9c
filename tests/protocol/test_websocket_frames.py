from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from collab.protocol.websocket_frames import bounds_of, frame_of

SIZES = [*range(300), 2**16 - 1, 2**16, 2**16 + 1]


@pytest.mark.parametrize("kind", [Opcode.BINARY, Opcode.TEXT])
def test_frames_of_any_size_are_those_of_the_library(kind: Opcode) -> None:
    for size in SIZES:
        payload = b"a" * size
        frame = frame_of(payload if kind is Opcode.BINARY else payload.decode())
        assert frame == Frame(kind, payload).serialize(mask=False)


def test_the_bounds_of_a_clients_payload_are_where_the_library_writes_it() -> None:
    for size in SIZES:
        frame = Frame(Opcode.BINARY, bytes(size)).serialize(mask=True)
        assert bounds_of(b"..." + frame, 3) == (3 + len(frame) - size, 3 + len(frame))
