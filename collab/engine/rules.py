"""Rules of one document, as far as live documents ask for them: those of its type.

Types are above the engine, which asks by name; so every way to a document gets the same answers.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pycrdt import Doc

from collab.conf import get_settings
from collab.engine.runtime.timers import finish_within

if TYPE_CHECKING:
    from collab.engine.rooms.member import Member

__all__ = ["PRESENCE_TIMEOUT", "DocumentRules", "apply_rules", "find_rules", "rules_of"]

#: Seconds after which a type that does not return its data about a user has failed.
PRESENCE_TIMEOUT = 30.0


class DocumentRules(NamedTuple):
    """The rules of one document.

    Args:
        version: of its type; ``None`` without versions.
        comment_formats: names of the formats that a commenter may change, with ``*`` for any
            letters.
        upgrade: changes a stored document that is of an earlier version.
        check_update: raises a ``MemberError`` if an update of a member is refused, given the member
            and the update's outline; ``None`` if none is.
        presence: returns data about a user for other members, for JSON; ``None`` for nothing.
    """

    version: int | None
    comment_formats: Sequence[str]
    upgrade: Callable[[Doc[Any], int], Awaitable[None]]
    check_update: Callable[[Any, Any], None] | None = None
    presence: Callable[[Any], Awaitable[dict[str, Any] | None]] | None = None


#: Functions that return the rules of a document by its name, or ``None``; the first that has some
#: decides.
find_rules: list[Callable[[str], DocumentRules | None]] = []


def rules_of(name: str) -> DocumentRules | None:
    """Return the rules of the document ``name``, if it has any."""
    for find in find_rules:
        if (rules := find(name)) is not None:
            return rules
    return None


async def apply_rules(member: Member, name: str | None, user: Any) -> None:
    """Set the data that the rules of the document ``name`` have of a member's ``user``.

    Raises:
        ValueError: the data about the user is too large.
        TimeoutError: the type does not return it.
    """
    rules = None if name is None else rules_of(name)
    if rules is not None:
        member.session.version = rules.version
        member.comment_formats = rules.comment_formats
        presence = None
        if rules.presence is not None:
            presence = await finish_within(PRESENCE_TIMEOUT, rules.presence(user))
        member.verified = "" if presence is None else _checked(name, presence)


def _checked(name: str | None, presence: dict[str, Any]) -> str:
    text, limit = json.dumps(presence, allow_nan=False), get_settings().MAX_PRESENCE_SIZE
    if len(text) > limit:
        raise ValueError(
            f"presence() of the type of {name!r} returns {len(text)} characters of JSON, more than"
            f" MAX_PRESENCE_SIZE ({limit})."
        )
    return text
