"""Conversions as functions of bytes, which another process can run."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any, Literal, NamedTuple

from pycrdt import Doc

from collab.exceptions import Conflict, ContentError
from collab.protocol.yjs.updates import merge, recording_updates
from collab_storage.array_texts import without_array_texts
from collab_storage.updates import is_covered

from .editors.names import find_schema
from .pieces.text_search import edit_text
from .rendering import render, to_json
from .report import Report
from .schema import Schema
from .trees import JSON
from .writing import Format, replace

__all__ = ["Replacement", "edit_update", "make_token", "render_update", "replace_update"]

#: No document is larger when a token is unpacked.
_MAX_STATE = 256 * 1024 * 1024
#: Bytes of text that take as long to be read as a tag.
_TAG_COST = 32


class Replacement(NamedTuple):
    """Content that replaces the content of a document."""

    value: JSON
    format: Format
    #: The state that the writer had read; ``None`` if it is not known.
    token: str | None
    on_conflict: Literal["merge", "raise"]

    @property
    def cost(self) -> int:
        """The bytes of text whose reading takes as long as that of the content."""
        value = str(self.value)
        return len(value) + _TAG_COST * value.count("<") + len(self.token or "")


def make_token(update: bytes) -> str:
    """Return the state of a document as text, which a writer gives back with the new content."""
    return base64.urlsafe_b64encode(zlib.compress(update, 6)).decode()


def render_update(update: bytes, field: str | None, schema: Schema | str, format: Format) -> Any:
    """Return the content of a document, given as an update, in a format."""
    return render(_load(update), field, find_schema(schema), format)


def replace_update(
    update: bytes, field: str | None, schema: Schema | str, wanted: Replacement
) -> tuple[bytes, Report]:
    """Return the update that replaces the content of a document, and a report of dropped parts.

    The update is empty if nothing changes.

    Raises:
        Conflict: the content has changed since the writer read it.
        ContentError: the content cannot be written, or the token is not valid.
    """
    found = find_schema(schema)
    base = update if wanted.token is None else _read_token(wanted.token)
    doc = _load(base)
    with recording_updates(doc) as updates:
        report = replace(doc, field, wanted.value, format=wanted.format, schema=found)
    if base != update:
        _check_base(base, _load(update), doc, field, found, wanted.on_conflict)
    return _joined(updates), report


def edit_update(
    update: bytes, field: str | None, schema: Schema | str, old: str, new: str
) -> bytes:
    """Return the update that replaces the text ``old`` in a document.

    Raises:
        TextNotFound: the text is not there, or more than once.
    """
    doc = _load(update)
    with recording_updates(doc) as updates:
        edit_text(doc, field, old, new, find_schema(schema))
    return _joined(updates)


def _load(update: bytes) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    doc.apply_update(without_array_texts(update))
    return doc


def _read_token(token: str) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        update = unpacker.decompress(base64.urlsafe_b64decode(token), _MAX_STATE)
        Doc[Any]().apply_update(update)
    except (binascii.Error, ValueError, zlib.error, RuntimeError) as error:
        raise ContentError("The token is not one that a document gave.") from error
    return update


def _check_base(
    base: bytes,
    now: Doc[Any],
    wanted: Doc[Any],
    field: str | None,
    schema: Schema,
    on_conflict: str,
) -> None:
    """Check that the writer's content can be merged with changes since it was read."""
    current = to_json(now, field, schema)
    if not is_covered(now.get_state(), base):
        message = "The document is no longer the one that was read: it was deleted or restored."
    elif on_conflict == "merge" or current == to_json(_load(base), field, schema):
        return
    else:
        message = "The content was changed by others since it was read."
    raise Conflict(message, wanted=to_json(wanted, field, schema), current=current)


def _joined(updates: list[bytes]) -> bytes:
    return merge(updates) if updates else b""
