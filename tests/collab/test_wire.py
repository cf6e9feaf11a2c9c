from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest

from collab import wire
from collab.wire import CloseCode, MessageType, SyncType

WIRE_TS = (Path(__file__).parents[2] / "client-js" / "src" / "wire.ts").read_text()


def constants(name: str) -> dict[str, int]:
    """Return the members of a constant object in the client's list."""
    body = re.search(rf"export const {name} = \{{(.*?)\}} as const;", WIRE_TS, re.DOTALL)
    assert body, name
    return {key: int(value) for key, value in re.findall(r"(\w+): (\d+),", body[1])}


@pytest.mark.parametrize("enum", [MessageType, SyncType, CloseCode])
def test_the_client_lists_the_same_numbers(enum: type[IntEnum]) -> None:
    assert constants(enum.__name__) == {member.name: member.value for member in enum}


def test_the_client_offers_the_subprotocol_that_the_server_looks_for() -> None:
    assert f'export const SUBPROTOCOL = "{wire.SUBPROTOCOL}";' in WIRE_TS


def test_the_client_reads_what_the_server_says_of_users_where_the_server_puts_it() -> None:
    assert f'export const VERIFIED = "{wire.VERIFIED}";' in WIRE_TS
