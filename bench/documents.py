"""Documents that have been edited for a while, as servers get them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from pycrdt import Doc, Text

from .clocks import Clocks, ranges, state
from .make_trace import make_trace
from .trace_file import in_bytes, type_into

__all__ = ["Document", "typed_document"]


@dataclass(frozen=True)
class Document:
    """A document.

    Args:
        data: the whole of it as one update.
        clocks: that who has all of it has.
    """

    data: bytes
    clocks: Clocks


@cache
def typed_document(edits: int) -> Document:
    """Return a document that was written keystroke by keystroke, with so many edits."""
    doc: Doc[Any] = Doc(client_id=1)
    text: Text = doc.get("text", type=Text)
    trace = make_trace(length=edits)
    text += trace.start
    for transaction in in_bytes(trace):
        with doc.transaction():
            type_into(text, transaction)
    data = doc.get_update()
    return Document(data, state(ranges(data)))
