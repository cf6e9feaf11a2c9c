"""Values of maps and arrays, compared key by key and item by item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from collab.content.trees import json_key
from collab.history.comparing.changes import ChangeKind, ContentChange, Path
from collab.history.comparing.lines import compare_texts
from collab.history.comparing.matching import gaps, matched

__all__ = ["compare_values"]


def compare_values(old: Any, new: Any, root: str, path: Path = ()) -> Iterator[ContentChange]:
    """Yield the changes of a value, as JSON has it, and of the values in it.

    Args:
        old, new: the value before and after.
        root: the name of the root that it is in.
        path: keys and indices at each depth.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _maps(old, new, root, path)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _arrays(old, new, root, path)
    elif json_key(old) != json_key(new):
        both = isinstance(old, str) and isinstance(new, str)
        pieces = compare_texts(old, new) if both else ()
        yield ContentChange(ChangeKind.CHANGED, root, path, path, pieces=pieces, old=old, new=new)


def _maps(
    old: dict[str, Any], new: dict[str, Any], root: str, path: Path
) -> Iterator[ContentChange]:
    for key in sorted({*old, *new}):
        inner = (*path, key)
        if key not in new:
            yield ContentChange(ChangeKind.REMOVED, root, inner, None, old=old[key])
        elif key not in old:
            yield ContentChange(ChangeKind.ADDED, root, None, inner, new=new[key])
        else:
            yield from compare_values(old[key], new[key], root, inner)


def _arrays(
    old: Sequence[Any], new: Sequence[Any], root: str, path: Path
) -> Iterator[ContentChange]:
    pairs = matched([*map(json_key, old)], [*map(json_key, new)])
    for olds, news in gaps(pairs, len(old), len(new)):
        both = [*zip(olds, news, strict=False)]
        for i, j in both:
            yield from compare_values(old[i], new[j], root, (*path, j))
        for i in olds[len(both) :]:
            yield ContentChange(ChangeKind.REMOVED, root, (*path, i), None, old=old[i])
        for j in news[len(both) :]:
            yield ContentChange(ChangeKind.ADDED, root, None, (*path, j), new=new[j])
