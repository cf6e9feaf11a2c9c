"""Addresses are those that uvicorn finds."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from collab.engine.sockets.addresses import addresses_of

uvloop = pytest.importorskip("uvloop")


async def transport_of(listener: socket.socket) -> Any:
    """Return the transport of a connection that this socket has accepted."""
    client = socket.socket(listener.family)
    client.connect(listener.getsockname())
    accepted, _ = listener.accept()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
    client.close()
    return transport


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_addresses_are_those_of_uvicorn(
    new_loop: Any, family: socket.AddressFamily, tmp_path: Path
) -> None:
    address: Any = {
        socket.AF_INET: ("127.0.0.1", 0),
        socket.AF_INET6: ("::1", 0),
        socket.AF_UNIX: str(tmp_path / "server"),
    }[family]

    async def compare() -> None:
        with (
            socket.create_server(address, family=family)
            if family != socket.AF_UNIX
            else (unix_server(address)) as listener
        ):
            transport = await transport_of(listener)
            expected = get_local_addr(transport), get_remote_addr(transport)
            assert addresses_of(transport) == expected
            transport.abort()
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(compare())


def unix_server(path: str) -> socket.socket:
    """Return a socket that listens at a path."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    return listener


def test_transport_without_addresses_has_none() -> None:
    assert addresses_of(asyncio.Transport()) == (None, None)
