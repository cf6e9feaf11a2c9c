"""The number beside stored bytes that names their encoding."""

from __future__ import annotations

from collections.abc import Iterable

from .exceptions import DocumentCorrupt

__all__ = ["UPDATE_FORMAT", "check_formats"]

#: Yjs updates in their first encoding; bytes of another encoding will get another number.
UPDATE_FORMAT = 1


def check_formats(name: str, snapshot: int, log: Iterable[tuple[int, int]]) -> None:
    """Refuse a document that a later release has written.

    Args:
        name: of the document.
        snapshot: the format of its snapshot.
        log: id and format of each row.

    Raises:
        DocumentCorrupt: one of the formats is unknown.
    """
    unknown = [id for id, format in log if format != UPDATE_FORMAT]
    if unknown or snapshot != UPDATE_FORMAT:
        raise DocumentCorrupt(
            f"{name!r} is stored in a format that this release cannot read "
            f"(format of the snapshot: {snapshot}, rows of other formats: {unknown})."
        )
