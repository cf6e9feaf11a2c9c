"""Edits of rows in documents, their authors, and the outcome of checking them."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.contrib.auth.models import AnonymousUser

from collab.engine.rooms.member import Member
from collab.mirror.incoming.saving import Problems
from collab.mirror.registry import User, Values
from collab.mirror.rows.values import RowInMap

__all__ = ["Author", "Differences", "Outcome", "Refusal", "RowEdit", "RowKey", "TextPart"]

#: The name of a row's map, and the row's key there.
RowKey = tuple[str, str]
#: The fields, or the row as a whole, that differ from the values written last; by row.
Differences = dict[RowKey, set[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Author:
    """The author of an edit.

    Args:
        user: as whom it is saved.
        member: the connection that refusals are sent to, if it is known.
    """

    user: User
    member: Member | None = None

    @classmethod
    def of(cls, member: Member) -> Author:
        """Return a member as an author."""
        return cls(member.user or AnonymousUser(), member)


@dataclass(frozen=True, slots=True)
class TextPart:
    """A change of a text by one author, without those of others before and after it.

    Args:
        author: of the change; ``None`` if another process, or none, has to check it.
        before: the text.
        after: the text.
    """

    author: Author | None
    before: str
    after: str


@dataclass(slots=True)
class RowEdit:
    """A row that was edited in a document.

    Args:
        map_name: of the mirror.
        key: of the row.
        values: in the document now.
        authors: the last author of each field, or of the :data:`~.saving.ROW` as a whole.
        parts: the changes of texts that several authors have edited, in order.
    """

    map_name: str
    key: str
    values: RowInMap
    authors: dict[str, Author]
    parts: dict[str, list[TextPart]] = field(default_factory=dict)

    @property
    def fields(self) -> Values:
        """The values of a valid row; else none."""
        return self.values if isinstance(self.values, dict) else {}

    @property
    def has_member(self) -> bool:
        """Whether a member has edited fields."""
        return any(name and author.member for name, author in self.authors.items())


@dataclass(frozen=True, slots=True)
class Refusal:
    """The part of an author's edit that is not saved: why, and the values."""

    author: Author
    map_name: str
    key: str
    problems: Problems
    values: Values


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a check, once it is committed."""

    refusals: list[Refusal] = field(default_factory=list)
    #: Rows that clients have added under keys other than their own: the author, the name of the
    #: map, the old key and the new one.
    renamed: list[tuple[Author, str, str, str]] = field(default_factory=list)
    #: Edits of fields of removed or replaced rows.
    overtaken: list[RowEdit] = field(default_factory=list)
    #: New rows that others have edited before the row itself is checked.
    unowned: list[RowEdit] = field(default_factory=list)
    #: Edits that were not checked, in order to release the document's lock.
    left: list[RowEdit] = field(default_factory=list)
