"""Editing traces: every keystroke of a text, and the text that they must end in.

A file is JSON, gzipped or plain: ``startContent``, ``endContent``, and ``txns``, each with
``patches`` of ``[position, deleted, inserted]``. Positions count Unicode code points.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pycrdt import Text

__all__ = ["Patch", "Trace", "Transaction", "apply_patch", "in_bytes", "load", "save", "type_into"]

_GZIP_MAGIC = b"\x1f\x8b"


class Patch(NamedTuple):
    """At ``position`` so many characters are ``deleted``, and a text is ``inserted``."""

    position: int
    deleted: int
    inserted: str


#: What one keystroke did, usually a single patch.
Transaction = Sequence[Patch]


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded editing session."""

    start: str
    end: str
    transactions: Sequence[Transaction]

    def cut(self, length: int | None) -> Trace:
        """Return the first ``length`` transactions as a trace of their own."""
        if length is None or length >= len(self.transactions):
            return self
        shorter = replace(self, transactions=self.transactions[:length])
        return replace(shorter, end=shorter.replay())

    def replay(self) -> str:
        """Return the text that the transactions lead to, whatever ``end`` says."""
        text = self.start
        for transaction in self.transactions:
            for patch in transaction:
                text = apply_patch(text, patch)
        return text


def apply_patch(text: str, patch: Patch) -> str:
    """Return ``text`` after one edit."""
    position, deleted, inserted = patch
    return text[:position] + inserted + text[position + deleted :]


def in_bytes(trace: Trace) -> Iterator[Transaction]:
    """Yield the transactions with positions and lengths as pycrdt counts them: in UTF-8 bytes."""
    text = trace.start
    for transaction in trace.transactions:
        converted = []
        for patch in transaction:
            converted.append(_patch_in_bytes(text, patch))
            text = apply_patch(text, patch)
        yield converted


def _patch_in_bytes(text: str, patch: Patch) -> Patch:
    if text.isascii():
        return patch
    position, deleted, inserted = patch
    before, gone = text[:position], text[position : position + deleted]
    return Patch(len(before.encode()), len(gone.encode()), inserted)


def type_into(text: Text, transaction: Transaction) -> None:
    """Do what ``transaction``, one of :func:`in_bytes`, says."""
    for position, deleted, inserted in transaction:
        if deleted:
            del text[position : position + deleted]
        if inserted:
            text.insert(position, inserted)


def load(path: Path) -> Trace:
    """Read a trace.

    Raises:
        ValueError: it is no trace, or its transactions do not lead to its end.
    """
    data = path.read_bytes()
    if data.startswith(_GZIP_MAGIC):
        data = gzip.decompress(data)
    try:
        raw = json.loads(data)
        transactions = [[Patch(*patch) for patch in txn["patches"]] for txn in raw["txns"]]
        trace = Trace(raw["startContent"], raw["endContent"], transactions)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is no editing trace: {error!r}") from error
    if trace.replay() != trace.end:
        raise ValueError(f"{path} contradicts itself: its edits do not lead to its endContent.")
    return trace


def save(trace: Trace, path: Path) -> None:
    """Write a trace, gzipped; the same trace makes the same bytes."""
    raw = {
        "startContent": trace.start,
        "endContent": trace.end,
        "txns": [{"patches": _plain(transaction)} for transaction in trace.transactions],
    }
    data = json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(data, mtime=0))


def _plain(patches: Iterable[Patch]) -> list[list[object]]:
    return [list(patch) for patch in patches]
