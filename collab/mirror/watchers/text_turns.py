"""Takes apart a text in which several authors type by turns."""

from __future__ import annotations

from typing import Any

from collab.mirror.incoming.row_edits import TextPart
from collab.mirror.watchers.pending_changes import ELSEWHERE, PendingChange

__all__ = ["parts_of", "text_before"]


def parts_of(change: PendingChange, text: str) -> list[TextPart]:
    """Return the parts of a text that authors have changed by turns; none if they are not clear."""
    first, begin = change.turns[0]
    authors = {author for author, _ in change.turns}
    if len(authors) == 1 or (begin is None and first is not ELSEWHERE):
        return []
    ends = [*(str(begin) for _, begin in change.turns[1:]), text]
    turns = zip(change.turns, ends, strict=True)
    return [
        TextPart(None if author is ELSEWHERE else author, begin or "", after)
        for (author, begin), after in turns
    ]


def text_before(event: Any) -> str | None:
    """Return the text before an event that inserts only."""
    data, at, kept = str(event.target).encode(), 0, list[bytes]()
    for step in event.delta:
        if length := step.get("retain"):
            kept.append(data[at : at + length])
            at += length
        elif isinstance(insert := step.get("insert"), str):
            at += len(insert.encode())
        else:
            return None
    return b"".join([*kept, data[at:]]).decode()
