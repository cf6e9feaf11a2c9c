"""Changes of a shared text by letters, so that cursors and concurrent typing survive.

pycrdt counts in bytes of UTF-8, and an index inside a letter loses text. All offsets of this
module are made of whole letters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from collab.content.differences.letters import Span, StandIns, spans
from collab.content.schema import Letter, SharedText

from .values import plain

__all__ = [
    "Chunk",
    "change_text",
    "join_chunks",
    "read_delta",
    "text_letters",
    "write_chunks",
]


class Chunk(NamedTuple):
    """A part of a text with the same formatting: a string, or an embedded value."""

    value: Any
    formatting: Mapping[str, Any]


class _Flat:
    """A text as one string, and the formatting at each place."""

    def __init__(self, chunks: Sequence[Chunk], stand_ins: StandIns) -> None:
        parts: list[str] = []
        self.starts: list[int] = []
        self.formattings: list[Mapping[str, Any]] = []
        length = 0
        for value, formatting in chunks:
            part = value if isinstance(value, str) else stand_ins.of(value)
            self.starts.append(length)
            self.formattings.append(formatting)
            parts.append(part)
            length += len(part)
        self.letters = "".join(parts)

    def formatting(self, index: int) -> tuple[Mapping[str, Any], int]:
        """Return the formatting of a letter, and the index of the first that has another."""
        position = bisect_right(self.starts, index) - 1
        following = self.starts[position + 1 : position + 2]
        return self.formattings[position], following[0] if following else len(self.letters)


def read_delta(text: SharedText) -> list[Chunk]:
    """Return the chunks of a text, values and formatting as JSON has them."""
    return [
        Chunk(plain(value), {key: plain(item) for key, item in sorted((given or {}).items())})
        for value, given in text.diff()
    ]


def join_chunks(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Return chunks without empty ones; neighbouring texts of equal formatting are joined."""
    joined: list[Chunk] = []
    for chunk in chunks:
        last = joined[-1] if joined else Chunk(None, {})
        if chunk.value == "":
            continue
        if (
            isinstance(last.value, str)
            and isinstance(chunk.value, str)
            and last.formatting == chunk.formatting
        ):
            joined[-1] = Chunk(last.value + chunk.value, last.formatting)
        else:
            joined.append(chunk)
    return joined


def write_chunks(text: SharedText, chunks: Sequence[Chunk], index: int = 0) -> None:
    """Insert chunks at an index.

    The last are inserted first, as finding a place takes as long as it is far away; but chunks that
    share formatting in their order, or there would be more marks than editors leave in a text.
    """
    for run in reversed(list(_runs(chunks))):
        place = index
        for value, formatting in run:
            if isinstance(value, str):
                text.insert(place, value, dict(formatting))
                place += len(value.encode())
            else:
                text.insert_embed(place, value, dict(formatting))
                place += 1


def _runs(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """Yield parts of ``chunks`` where one shares no formatting with the chunk before."""
    run: list[Chunk] = []
    for chunk in chunks:
        last = run[-1].formatting if run else {}
        if run and not any(last.get(key) == value for key, value in chunk.formatting.items()):
            yield run
            run = []
        run.append(chunk)
    yield run


def text_letters(text: SharedText) -> list[Letter]:
    """Return the letters of a text; an embedded value is one."""
    letters: list[Letter] = []
    index = 0
    for value, _ in text.diff():
        for size in [len(each.encode()) for each in value] if isinstance(value, str) else [1]:
            letters.append(Letter(text, index, index + size))
            index += size
    return letters


def change_text(
    texts: Sequence[SharedText], old: Sequence[Sequence[Chunk]], new: Sequence[Chunk]
) -> None:
    """Change texts that follow each other so that together they say ``new``.

    Args:
        texts: the shared texts; several if two editors began one at the same place.
        old: the content of each of them.
        new: the content that all together get.
    """
    _Writer(texts, old, new).write()


class _Writer:
    """Applies spans to the shared texts, from their beginning to their end."""

    def __init__(
        self, texts: Sequence[SharedText], old: Sequence[Sequence[Chunk]], new: Sequence[Chunk]
    ) -> None:
        flat = [chunk for chunks in old for chunk in chunks]
        values = (value for value, _ in [*flat, *new] if isinstance(value, str))
        self._stand_ins = StandIns(values)
        self._before = _Flat(flat, self._stand_ins)
        self._after = _Flat(new, self._stand_ins)
        self._texts = list(texts)
        #: Letters of each text that are left.
        self._left = [len(_Flat(chunks, self._stand_ins).letters) for chunks in old]
        #: Bytes before the current place in the first of the texts that are left.
        self._index = 0

    def write(self) -> None:
        """Apply the differences."""
        for span in spans(self._before.letters, self._after.letters):
            self._write_span(span)

    def _write_span(self, span: Span) -> None:
        if span.start == span.end:
            self._insert(span.new_start, span.new_end)
            return
        keeps = span.new_start < span.new_end
        start = span.start
        while start < span.end:
            while not self._left[0]:
                del self._texts[0], self._left[0]
                self._index = 0
            end = min(span.end, start + self._left[0])
            self._left[0] -= end - start
            if keeps:
                self._keep(start, end, span.new_start - span.start)
            else:
                size = self._stand_ins.size(self._before.letters[start:end])
                del self._texts[0][self._index : self._index + size]
            start = end

    def _keep(self, start: int, end: int, shift: int) -> None:
        while start < end:
            old, old_end = self._before.formatting(start)
            new, new_end = self._after.formatting(start + shift)
            stop = min(end, old_end, new_end - shift)
            size = self._stand_ins.size(self._before.letters[start:stop])
            if changes := _changes(old, new):
                self._texts[0].format(self._index, self._index + size, changes)
            self._index += size
            start = stop

    def _insert(self, start: int, end: int) -> None:
        inserted = self._after.letters[start:end]
        chunks: list[Chunk] = []
        while start < end:
            formatting, stop = self._after.formatting(start)
            letters = self._after.letters[start : min(stop, end)]
            chunks.append(Chunk(self._stand_ins.values.get(letters[0], letters), formatting))
            start += len(letters)
        write_chunks(self._texts[0], chunks, self._index)
        self._index += self._stand_ins.size(inserted)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the difference between two formattings; ``None`` takes a key away."""
    return {
        key: new.get(key)
        for key in {**old, **new}
        if (key in old) != (key in new) or old[key] != new[key]
    }
