"""Letters that an edit has split, put back by a restoration.

Yjs makes two U+FFFD of a letter such as an emoji when an edit falls between its halves, and nothing
makes them one letter again: undoing such an edit leaves both. So the letter is inserted in their
place, with the marks that it had.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab.protocol.yjs.updates import recording_updates
from collab_storage.array_texts import without_array_texts
from collab_storage.render import root_type
from collab_storage.subdocuments import temporary_doc
from collab_storage.updates import EMPTY_UPDATE, merge

__all__ = ["whole_letters"]

_HALF = "\ufffd"
_SHARED = (Array, Map, Text, XmlElement, XmlFragment, XmlText)


class _Letter(NamedTuple):
    """A letter of a text, or something else in it, with its marks."""

    content: Any
    marks: dict[str, Any] | None


class _Split(NamedTuple):
    """A letter whose halves are in a text, at a place in bytes."""

    place: int
    letter: _Letter


def whole_letters(restored: bytes, wanted: bytes) -> bytes:
    """Return the update that puts whole letters in the place of their halves.

    Args:
        restored: a state whose content differs from the wanted one in halves of letters alone.
        wanted: the state that has the letters.
    """
    doc: Doc[Any]
    then: Doc[Any]
    with temporary_doc(restored) as doc, temporary_doc(without_array_texts(wanted)) as then:
        with recording_updates(doc) as updates:
            for name in sorted(then.keys()):
                root = root_type(then, name)
                if root is not None:
                    _mend(doc.get(name, type=type(root)), root)
        return merge(updates or [EMPTY_UPDATE])


def _mend(present: Any, wanted: Any) -> None:
    """Put the letters of a shared type, and of those in it, back into the present one."""
    if type(present) is not type(wanted):
        return
    for inner, wanted_inner in _inner(present, wanted):
        _mend(inner, wanted_inner)
    if isinstance(wanted, (Text, XmlText)):
        # From the end on, so that the places before stay.
        for place, (letter, marks) in reversed([*_splits(_letters(present), _letters(wanted))]):
            del present[place : place + 2 * len(_HALF.encode())]
            present.insert(place, letter, marks or {})


def _inner(present: Any, wanted: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the shared types in two shared types that are at the same place."""
    match wanted:
        case Map():
            pairs = [(present[key], value) for key, value in wanted.items() if key in present]
        case Array():
            pairs = [*zip(present, wanted, strict=False)]
        case XmlElement() | XmlFragment():
            pairs = [*zip(present.children, wanted.children, strict=False)]
        case _:
            # Objects that are embedded in a text are in the same order.
            embedded = (
                [chunk for chunk, _ in text.diff() if not isinstance(chunk, str)]
                for text in (present, wanted)
            )
            pairs = [*zip(*embedded, strict=False)]
    for pair in pairs:
        if all(isinstance(each, _SHARED) for each in pair):
            yield pair


def _letters(text: Text | XmlText) -> list[_Letter]:
    return [
        _Letter(each, marks)
        for chunk, marks in text.diff()
        for each in (chunk if isinstance(chunk, str) else [chunk])
    ]


def _splits(present: list[_Letter], wanted: list[_Letter]) -> Iterator[_Split]:
    """Yield the letters of a text whose halves are in the present one."""
    number = place = 0
    for letter in wanted:
        found = [each.content for each in present[number : number + 2]]
        is_split = _is_pair(letter.content) and found == [_HALF, _HALF]
        if is_split:
            yield _Split(place, letter)
        for each in found[: 2 if is_split else 1]:
            place += len(each.encode()) if isinstance(each, str) else 1
            number += 1


def _is_pair(content: Any) -> bool:
    return isinstance(content, str) and content > "\uffff"
