"""A change of a document, as the project's code gets it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from pycrdt import Doc

from collab.documents.document_content import DocumentContent, known_schema
from collab.documents.reading import read

if TYPE_CHECKING:
    from collab.content import Schema

__all__ = ["Change", "user_keys"]


@dataclass(frozen=True, eq=False, repr=False)
class Change:
    """All that has happened to a document since the project was last called.

    Args:
        name: the document.
        kwargs: parameters of the name, as the pattern of its type has them.
        user_ids: primary keys, as text, of the users who made it, as far as they are known.
        since: when the first update of it was stored.
        _schema: of the document's content, if its type has one.
        _field: the root that holds the content; by default that of the schema.
    """

    name: str
    kwargs: Mapping[str, Any]
    user_ids: Sequence[str]
    since: datetime
    _schema: Schema | str | None = None
    _field: str | None = None

    def __repr__(self) -> str:
        return f"<Change of {self.name!r}>"

    @cached_property
    def doc(self) -> Doc[Any]:
        """A private copy of the document as it is now, loaded on first use.

        Raises:
            DocumentNotFound: it has been deleted meanwhile.
        """
        return read(self.name)

    async def adoc(self) -> Doc[Any]:
        """See :attr:`doc`."""
        return await sync_to_async(lambda: self.doc)()

    def html(self) -> str:
        """Return the document as HTML, read with the schema of its type."""
        return str(self._content().render("html"))

    def markdown(self) -> str:
        """Return the document as Markdown."""
        return str(self._content().render("markdown"))

    def text(self) -> str:
        """Return the document as plain text."""
        return str(self._content().render("text"))

    def json(self) -> Any:
        """Return the document in the JSON of its editor."""
        return self._content().render("json")

    def _content(self) -> DocumentContent:
        schema = known_schema(self.name, self._schema)
        return DocumentContent(self.name, self.doc.get_update(), schema, self._field)

    @cached_property
    def users(self) -> list[Any]:
        """The users who made the change, without those whom the project's model does not have."""
        return list(get_user_model()._default_manager.filter(pk__in=[*user_keys(self.user_ids)]))


def user_keys(keys: Iterable[str]) -> dict[Any, str]:
    """Return those of ``keys`` that users of the project's model may have, by their values.

    A project may admit other users, such as those of an identity provider, with keys of another
    kind.
    """
    field = get_user_model()._meta.pk
    values: dict[Any, str] = {}
    for key in keys:
        try:
            values[field.to_python(key)] = key
        except ValidationError:
            continue
    return values
