"""Ports for servers that tests start."""

from __future__ import annotations

import socket

__all__ = ["ReservedPort"]


class ReservedPort:
    """A port of this machine that no other process gets until it is closed, or the block ends.

    It is bound, and nothing listens: clients are refused until a server does that gets its number.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        # So that the server may bind it, too.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def __enter__(self) -> int:
        return self.number

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give it back."""
        self._socket.close()
