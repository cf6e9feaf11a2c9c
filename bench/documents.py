"""Documents that have been edited for a while, as servers get them.

``python -m bench.documents TRACE`` makes the one anew that the project ships, of the recording
that ``traces/README.md`` names.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from pycrdt import Doc, Text

from .clocks import Clocks, ranges, state
from .make_trace import make_trace
from .trace_file import Trace, in_bytes, load, type_into

__all__ = ["Document", "history_document", "large_document", "typed_document"]

#: What a paper became in 259,778 edits.
_PAPER = Path(__file__).parent / "traces" / "automerge-paper.yjs.gz"

#: A large document was written in paragraphs, by so many authors.
_PARAGRAPH, _AUTHORS = 500, 40
_WORDS = ("sed", "ut", "perspiciatis", "unde", "omnis", "iste", "natus", "error", "sit", "aut")


@dataclass(frozen=True)
class Document:
    """A document.

    Args:
        pieces: updates that it is made of, each small enough for a frame.
        clocks: that who has all of it has.
    """

    pieces: tuple[bytes, ...]
    clocks: Clocks

    @property
    def data(self) -> bytes:
        """The whole of a document of one piece as one update."""
        (data,) = self.pieces
        return data


def _document(*pieces: bytes) -> Document:
    return Document(pieces, state(each for piece in pieces for each in ranges(piece)))


def _typed(trace: Trace) -> bytes:
    doc: Doc[Any] = Doc(client_id=1)
    text: Text = doc.get("text", type=Text)
    text += trace.start
    for transaction in in_bytes(trace):
        with doc.transaction():
            type_into(text, transaction)
    return doc.get_update()


@cache
def typed_document(edits: int) -> Document:
    """Return a document that was written keystroke by keystroke, with so many edits."""
    return _document(_typed(make_trace(length=edits)))


@cache
def history_document() -> Document:
    """Return a paper that somebody has written in 259,778 edits."""
    return _document(gzip.decompress(_PAPER.read_bytes()))


@cache
def large_document(size: int) -> Document:
    """Return a text of about so many bytes, of paragraphs that several have written."""
    return _document(*_parts(size))


def _parts(size: int) -> Iterator[bytes]:
    for number in range(_AUTHORS):
        random = Random(number)
        doc: Doc[Any] = Doc(client_id=number + 1)
        text: Text = doc.get("text", type=Text)
        for paragraph in range(max(1, size // _PARAGRAPH // _AUTHORS)):
            written = " ".join(random.choices(_WORDS, k=_PARAGRAPH // 3))[:_PARAGRAPH]
            # Somewhere between the others.
            text.insert(random.randint(0, paragraph) * _PARAGRAPH, written)
        yield doc.get_update()


if __name__ == "__main__":
    _PAPER.write_bytes(gzip.compress(_typed(load(Path(sys.argv[1]))), mtime=0))
