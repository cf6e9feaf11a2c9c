"""A client in a process of its own, to be killed: ``python -m tests.acceptance.visitor URL``."""

from __future__ import annotations

import asyncio
import sys

from tests.harness.client import YjsClient

__all__ = ["main"]


async def main(url: str) -> None:
    """Be present until the connection ends."""
    async with YjsClient(url) as client:
        await client.set_presence({"name": "visitor"})
        await client.connection.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
