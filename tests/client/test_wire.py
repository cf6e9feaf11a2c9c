"""The client package and the server agree on the numbers on the wire."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest

from collab.wire import SUBPROTOCOL, CloseCode, MessageType, SyncType

WIRE = Path(__file__).parents[2].joinpath("client-js/src/wire.ts").read_text()


@pytest.mark.parametrize("numbers", [MessageType, SyncType, CloseCode])
def test_numbers_are_the_same(numbers: type[IntEnum]) -> None:
    block = re.search(rf"export const {numbers.__name__} = {{(.*?)}} as const;", WIRE, re.DOTALL)
    assert block is not None
    listed = {name: int(value) for name, value in re.findall(r"(\w+): (\d+),", block[1])}
    assert listed == {member.name: member.value for member in numbers}


def test_subprotocol_is_the_same() -> None:
    assert f'export const SUBPROTOCOL = "{SUBPROTOCOL}";' in WIRE
