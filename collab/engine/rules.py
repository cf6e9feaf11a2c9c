"""Rules of one document, as far as live documents ask for them: those of its type.

Types are above the engine, which asks by name; so every way to a document gets the same answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pycrdt import Doc

from collab.conf import get_settings

if TYPE_CHECKING:
    from collab.engine.rooms.member import Member

__all__ = ["PRESENCE_TIMEOUT", "DocumentRules", "apply_rules", "find_rules", "rules_of"]

#: Seconds after which a type that does not return its data about a user has failed.
PRESENCE_TIMEOUT = 30.0


class DocumentRules(Protocol):
    """The rules of one document."""

    @property
    def version(self) -> int | None:
        """The version of its type; ``None`` without versions."""

    @property
    def check_update(self) -> Callable[[Any, Any], None] | None:
        """Raises a ``MemberError`` if an update of a member is refused; ``None`` if none is.

        It gets the member and the update's outline.
        """

    async def upgrade(self, doc: Doc[Any], before: int) -> None:
        """Change a stored document that is of version ``before``."""

    @property
    def comment_formats(self) -> Sequence[str]:
        """Names of the formats that a commenter may change, with ``*`` for any letters."""

    async def presence(self, user: Any) -> dict[str, Any] | None:
        """Return data about ``user`` for other members, for JSON; ``None`` for nothing."""


#: Functions that return the rules of a document by its name, or ``None``; the first that has some
#: decides.
find_rules: list[Callable[[str], DocumentRules | None]] = []


def rules_of(name: str) -> DocumentRules | None:
    """Return the rules of the document ``name``, if it has any."""
    found = (find(name) for find in find_rules)
    return next((rules for rules in found if rules is not None), None)


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
        async with asyncio.timeout(PRESENCE_TIMEOUT):
            member.verified = _checked(name, await rules.presence(user))


def _checked(name: str | None, presence: dict[str, Any] | None) -> str:
    if presence is None:
        return ""
    text, limit = json.dumps(presence, allow_nan=False), get_settings().MAX_PRESENCE_SIZE
    if len(text) > limit:
        raise ValueError(
            f"presence() of the type of {name!r} returns {len(text)} characters of JSON, more than"
            f" MAX_PRESENCE_SIZE ({limit})."
        )
    return text
