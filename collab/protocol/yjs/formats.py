"""Updates that change nothing but some formats of texts, such as the marks of comments."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from collab.protocol.yjs.updates import apply, is_failure
from collab_storage.render import render_json
from collab_storage.structs import read_chunk, read_structs
from collab_storage.subdocuments import temporary_doc
from collab_storage.updates import is_covered, read_varuint

__all__ = ["MAX_CHECKED_SIZE", "changes_formats_only"]

#: Bytes of a document whose updates are checked, at most: the check reads all of it.
MAX_CHECKED_SIZE = 1024 * 1024

#: The kind of a struct that begins or ends a format.
_FORMAT = 6


def changes_formats_only(update: bytes, document: bytes, names: Sequence[str]) -> bool:
    """Return whether an update adds and removes formats of some names, and does nothing else.

    It inserts nothing but such formats; and without them, the document is the same before and
    after, whatever the update deletes.

    Args:
        update: that can be decoded.
        document: all of the document that it changes, as an update.
        names: of the formats, with ``*`` for any letters.
    """
    if len(document) > MAX_CHECKED_SIZE:
        return False
    for struct in read_structs(update):
        if struct.kind != _FORMAT or not _matches(_name_at(update, struct.content), names):
            return False
    with temporary_doc() as doc:
        try:
            apply(doc, document)
            before = _without(render_json(doc), names)
            apply(doc, update)
            after = _without(render_json(doc), names)
        except BaseException as error:
            if not is_failure(error):
                raise
            # With a format in place of a map's value, for example, it can no longer be read.
            return False
        return is_covered(doc.get_state(), update) and after == before


def _name_at(update: bytes, position: int) -> str:
    _, start = read_varuint(update, position)
    return update[start : read_chunk(update, position)[1]].decode(errors="replace")


def _matches(name: str, names: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in names)


def _without(value: Any, names: Sequence[str]) -> Any:
    """Return rendered content without the formats of some names."""
    if isinstance(value, dict):
        return {key: _without(each, names) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    if value and all(isinstance(each, dict) and "insert" in each for each in value):
        return _joined([_unformatted(each, names) for each in value])
    return [_without(each, names) for each in value]


def _unformatted(chunk: dict[str, Any], names: Sequence[str]) -> tuple[Any, Any]:
    attributes = chunk.get("attributes") or {}
    kept = {key: value for key, value in attributes.items() if not _matches(key, names)}
    return chunk["insert"], kept


def _joined(chunks: list[tuple[Any, Any]]) -> Any:
    """Join texts of the same formats; a text without formats is a string, as it is rendered."""
    joined: list[tuple[Any, Any]] = []
    for insert, attributes in chunks:
        is_text = isinstance(insert, str)
        if joined and is_text and isinstance(joined[-1][0], str) and joined[-1][1] == attributes:
            joined[-1] = joined[-1][0] + insert, attributes
        else:
            joined.append((insert, attributes))
    if len(joined) == 1 and isinstance(joined[0][0], str) and not joined[0][1]:
        return joined[0][0]
    return joined
