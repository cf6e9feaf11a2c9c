"""The content of a shared text: a delta, or a string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pycrdt import Doc, Text

from .text_changes import Chunk, change_text, join_chunks
from .values import plain

__all__ = ["read_chunks", "write_text_root"]


def read_chunks(doc: Doc[Any], field: str) -> list[Chunk]:
    """Return the chunks of a root that is a text."""
    return join_chunks(
        [
            Chunk(
                value if isinstance(value, str) else plain(value),
                {key: plain(item) for key, item in sorted((given or {}).items())},
            )
            for value, given in doc.get(field, type=Text).diff()
        ]
    )


def write_text_root(doc: Doc[Any], field: str, chunks: Sequence[Chunk]) -> None:
    """Give a root that is a text other content, by letters."""
    with doc.transaction():
        change_text([doc.get(field, type=Text)], [read_chunks(doc, field)], join_chunks(chunks))
