"""JSON frames to members about their edits of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from collab.mirror.incoming.row_edits import Author, Outcome, Refusal
from collab.protocol.json_frames import json_frame

__all__ = ["UNTRACED", "send_lost", "send_outcome", "send_refusals"]

#: Log message of an error that hides which edits are lost.
UNTRACED = "Lost edits of rows could not be determined; their authors are sent a general notice."
_LOST = "Rows were changed in a version of the document that is too old; these changes are lost."
#: Refusals of one check that a member is sent one by one; the others are counted.
_MAX_SINGLE = 50


def send_outcome(outcome: Outcome) -> None:
    """Send refusals to their authors, and the new keys of rows that they have created."""
    send_refusals(outcome.refusals)
    for author, map_name, key, new_key in outcome.renamed:
        _send(author, "row_created", {"map": map_name, "key": key, "new_key": new_key}, 201)


def send_refusals(refusals: Iterable[Refusal]) -> None:
    """Send refusals to their authors."""
    sent = Counter[Author]()
    for refusal in refusals:
        sent[refusal.author] += 1
        if sent[refusal.author] <= _MAX_SINGLE:
            _send_refusal(refusal)
    for author, number in sent.items():
        if number > _MAX_SINGLE:
            more = f"{number - _MAX_SINGLE} more changes were refused."
            _send(author, "rows", {"refused": number}, 400, [more])


def send_lost(author: Author) -> None:
    """Send a notice that edits are lost, without values."""
    _send(author, "rows", {"refused": None}, 409, [_LOST])


def _send_refusal(refusal: Refusal) -> None:
    problems = refusal.problems.values()
    data = {
        "map": refusal.map_name,
        "key": refusal.key,
        "fields": {name: problem.reasons for name, problem in refusal.problems.items()},
        "values": refusal.values,
    }
    reasons = dict.fromkeys(reason for problem in problems for reason in problem.reasons)
    _send(refusal.author, "row", data, max(problem.status for problem in problems), [*reasons])


def _send(
    author: Author, action: str, data: dict[str, Any], status: int, errors: Sequence[str] = ()
) -> None:
    member = author.member
    if member is not None and member.session.greeted:
        member.send_frame(json_frame(action, data=data, errors=[*errors], status=status))
