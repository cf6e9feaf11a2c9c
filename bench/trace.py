"""Replay an editing trace through a running server and compare the outcome letter by letter.

Several clients type it in turns over real websockets; each begins its turn when it has all that
was typed before. In the end every client and the document that the server has stored must read
as the trace says. A server that the command started itself is killed in between, and started
anew on its database.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter

from pycrdt import Decoder, Text

from tests.harness.client import YjsClient
from tests.harness.server import Server

from .make_trace import SMALL
from .servers import collab_server
from .trace_file import Trace, Transaction, in_bytes, load, type_into

__all__ = ["add_arguments", "replay", "run"]

#: Transactions in a turn.
TURN = 100
#: How long a turn may need to reach everybody, in seconds.
PATIENCE = 120.0


# Following the others.


def _clocks(client: YjsClient) -> dict[int, int]:
    """Return how many changes of each author ``client`` has: its state vector."""
    decoder = Decoder(client.doc.get_state())
    return {
        decoder.read_var_uint(): decoder.read_var_uint() for _ in range(decoder.read_var_uint())
    }


def _length(client: YjsClient) -> int:
    return len(client.doc.get("text", type=Text))


async def _catch_up(client: YjsClient, other: YjsClient) -> None:
    """Wait until ``client`` has all that ``other`` has.

    State vectors do not count deletions. But once all insertions are there only deletions can
    follow, and with each of them the text gets shorter: so the right length means all of them.
    """
    clocks, length = _clocks(other), _length(other)
    await client.wait_until(
        lambda: _length(client) == length and _clocks(client) == clocks, within=PATIENCE
    )


# Typing.


async def _type(client: YjsClient, transaction: Transaction) -> None:
    async with client.edit() as doc:
        type_into(doc.get("text", type=Text), transaction)


async def _type_all(clients: Sequence[YjsClient], trace: Trace, progress: _Progress) -> None:
    transactions = in_bytes(trace)
    before = clients[0]
    await before.insert(trace.start)
    for client in cycle(clients):
        if not (turn := list(islice(transactions, TURN))):
            break
        await _catch_up(client, before)
        for transaction in turn:
            await _type(client, transaction)
        progress.add(len(turn))
        before = client
    for client in clients:
        await _catch_up(client, before)


class _Progress:
    """Reports progress on a line of standard error."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._began = self._told = perf_counter()

    @property
    def seconds(self) -> float:
        return perf_counter() - self._began

    def add(self, number: int) -> None:
        self._done += number
        if perf_counter() - self._told > 1 or self._done == self._total:
            self._told = perf_counter()
            rate = self._done / self.seconds
            line = f"{self._done:,} of {self._total:,} transactions, {rate:,.0f}/s"
            print(line, end="\n" if self._done == self._total else "\r", file=sys.stderr)


# Comparing.


def _difference(who: str, text: str, expected: str) -> str | None:
    """Return the fault of ``text``, or None."""
    if text == expected:
        return None
    pairs = enumerate(zip(text, expected, strict=False))
    shorter = min(len(text), len(expected))
    at = next((at for at, (got, want) in pairs if got != want), shorter)
    got, want = text[at : at + 30], expected[at : at + 30]
    return f"{who}: {len(text)} letters; from letter {at} on {got!r} instead of {want!r}"


async def replay(trace: Trace, url: str, clients: int, server: Server | None) -> list[str]:
    """Type ``trace`` into the new document at ``url``; return the differences found.

    Args:
        trace: what to type.
        url: of the room.
        clients: how many take turns.
        server: if given, it is killed once it has said that all is saved, and started again.
    """
    progress = _Progress(len(trace.transactions))
    async with _connected(url, clients) as members:
        if members[0].text:
            raise ValueError("The document is not new.")
        await _type_all(members, trace, progress)
        typed = progress.seconds
        for member in members:
            await member.wait_saved()
        later = progress.seconds - typed
        print(f"typed and received by all in {typed:.1f} s, all of it saved {later:.3f} s later")
        texts = {f"client {number}": member.text for number, member in enumerate(members, 1)}
        if server is not None:
            server.kill()
    if server is not None:
        server.start()
    async with YjsClient(url) as reader:
        texts["the stored document" if server else "a newcomer"] = reader.text
    found = [_difference(who, text, trace.end) for who, text in texts.items()]
    return [difference for difference in found if difference is not None]


@asynccontextmanager
async def _connected(url: str, number: int) -> AsyncIterator[list[YjsClient]]:
    async with AsyncExitStack() as stack:
        members = [await stack.enter_async_context(YjsClient(url)) for _ in range(number)]
        for member in members:
            await member.hello()
        yield members


# The command.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("file", type=Path, nargs="?", default=SMALL, help="a small one by default")
    parser.add_argument("--clients", type=int, default=3, help="how many take turns (3)")
    parser.add_argument("--limit", type=int, help="type only so many transactions")
    parser.add_argument("--url", help="of a new document on a running server: ws://...")


def run(arguments: argparse.Namespace) -> int:
    """Replay; return 1 if anything differs from the trace."""
    number = arguments.clients
    trace = load(arguments.file).cut(arguments.limit)
    print(f"{arguments.file.name}: {len(trace.transactions):,} transactions, {number} clients")
    if arguments.url:
        differences = asyncio.run(replay(trace, arguments.url, number, None))
    else:
        with collab_server() as server:
            differences = asyncio.run(replay(trace, server.url("trace"), number, server))
    for difference in differences:
        print(f"DIFFERENT: {difference}")
    if not differences:
        reader = "a newcomer" if arguments.url else "the stored document"
        print(f"equal: all {number} clients and {reader}, {len(trace.end):,} letters")
    return bool(differences)
