"""Content of documents by their names, as HTML, Markdown, text or JSON, and into them.

The schema is that of the document's type, unless one is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal

from pycrdt import Doc

from collab.conf import get_storage
from collab.documents.document_content import DocumentContent, convert, known_schema
from collab.documents.policy import load_seeded
from collab.documents.reading import aread, read_to_edit
from collab.documents.registry import type_of
from collab.engine.hub.identity import user_key
from collab.engine.hub.working_copies import (
    blocking,
    new_entry,
    store_update,
    unsaved_entries,
)
from collab_storage.base import DocumentId
from collab_storage.updates import EMPTY_UPDATE

if TYPE_CHECKING:
    # Imported when it is used: most projects only pass updates on.
    from collab.content import Report, Schema
    from collab.content.jobs import Replacement

__all__ = [
    "acontent",
    "aedit_text",
    "ahtml",
    "ajson",
    "amarkdown",
    "areplace",
    "atext",
    "content",
    "content_schema",
    "edit_text",
    "html",
    "json",
    "markdown",
    "replace",
    "rewrite_watchers",
    "text",
]

#: Called with a document's name and the user before a function of this module changes its content.
rewrite_watchers: list[Callable[[str, object], Awaitable[None]]] = []


def content_schema(
    name: str, schema: Schema | str | None = None, field: str | None = None
) -> tuple[Schema | str, str | None]:
    """Return the schema of a document's content, and its field if that is not the schema's.

    Args:
        name: the document.
        schema, field: win over those of the document's type.

    Raises:
        ImproperlyConfigured: nothing says which schema the document has.
    """
    document_type = type_of(name)
    if document_type is not None:
        schema = document_type.content if schema is None else schema
        field = field or document_type.content_field
    return known_schema(name, schema), field


async def acontent(
    name: str, *, schema: Schema | str | None = None, field: str | None = None
) -> DocumentContent:
    """Return the content of a document, with a token for writers.

    Args:
        name: the document.
        schema: of its content; by default that of its type.
        field: the root that holds it; by default that of its type or its schema.

    Raises:
        DocumentNotFound: nothing of that name is stored.
        ImproperlyConfigured: nothing says which schema the document has.
    """
    own, root = content_schema(name, schema, field)
    doc = await aread(name)
    return DocumentContent(name, doc.get_update(), own, root)


async def ahtml(name: str, *, schema: Schema | str | None = None, field: str | None = None) -> str:
    """Return a document as HTML that is safe to be put into a page; see :func:`acontent`."""
    found = await acontent(name, schema=schema, field=field)
    return str(await found.arender("html"))


async def amarkdown(
    name: str, *, schema: Schema | str | None = None, field: str | None = None
) -> str:
    """Return a document as Markdown; see :func:`acontent`."""
    found = await acontent(name, schema=schema, field=field)
    return str(await found.arender("markdown"))


async def atext(name: str, *, schema: Schema | str | None = None, field: str | None = None) -> str:
    """Return a document as plain text; see :func:`acontent`."""
    found = await acontent(name, schema=schema, field=field)
    return str(await found.arender("text"))


async def ajson(name: str, *, schema: Schema | str | None = None, field: str | None = None) -> Any:
    """Return a document in the JSON of its editor; see :func:`acontent`."""
    return await (await acontent(name, schema=schema, field=field)).arender("json")


async def areplace(
    name: str,
    *,
    html: str | None = None,
    markdown: str | None = None,
    text: str | None = None,
    json: Any = None,
    base: str | None = None,
    on_conflict: Literal["merge", "raise"] = "merge",
    user: object = None,
    schema: Schema | str | None = None,
    field: str | None = None,
) -> Report:
    """Replace the content of a document with the smallest edit.

    If there is none, it is made, and seeded as its type says.

    Args:
        name: the document.
        html, markdown, text, json: the content, as one of these.
        base: the token of the content that the writer had read. Changes of others since then are
            merged with those of the writer. Without it, the content replaces them.
        on_conflict: "raise" raises :class:`~collab.exceptions.Conflict` if the content has changed
            since, rather than merge.
        user: whose change it is, for the log.
        schema, field: see :func:`acontent`.

    Returns:
        A report of the parts that the schema cannot represent.

    Raises:
        Conflict: the content has changed since, or the document was deleted or restored.
        ContentError: the content does not fit the schema, or ``base`` is not a token.
    """
    from collab.content.jobs import Replacement

    given = {"html": html, "markdown": markdown, "text": text, "json": json}
    wanted = Replacement(*_only(given), base, on_conflict)
    return await _replace(name, wanted, user, *content_schema(name, schema, field))


async def aedit_text(
    name: str,
    old: str,
    new: str,
    *,
    user: object = None,
    schema: Schema | str | None = None,
    field: str | None = None,
) -> None:
    """Replace a text that is in a document exactly once, by letters.

    Raises:
        DocumentNotFound: nothing of that name is stored.
        TextNotFound: the text is not there, or more than once; the message names similar text.
    """
    from collab.content.jobs import edit_update

    own, root = content_schema(name, schema, field)
    doc, loaded = await read_to_edit(name)
    state = doc.get_update()
    update = await convert(len(state), edit_update, state, root, own, old, new)
    await _store(name, update, user, loaded)


def _only(given: dict[str, Any]) -> tuple[Any, Any]:
    """Return the content that was given, and its format."""
    contents = [(value, format) for format, value in given.items() if value is not None]
    if len(contents) != 1:
        raise TypeError("Content is given as one of html, markdown, text and json.")
    return contents[0]


async def _replace(
    name: str, wanted: Replacement, user: object, schema: Schema | str, field: str | None
) -> Report:
    from collab.content.jobs import replace_update

    state, loaded = await _load(name)
    size = len(state) + wanted.cost
    update, report = await convert(size, replace_update, state, field, schema, wanted)
    await _store(name, update, user, loaded)
    if state == EMPTY_UPDATE and not update:
        # A document without content, which exists nevertheless.
        await get_storage().create(new_entry(name, EMPTY_UPDATE, user_key(user)))
    return report


async def _load(name: str) -> tuple[bytes, DocumentId | bool]:
    """Return the state of a document and its id, as :func:`load_seeded` does."""
    doc = Doc[Any]()
    loaded = await load_seeded(name, doc)
    return doc.get_update(), loaded


async def _store(name: str, update: bytes, user: object, loaded: DocumentId | bool) -> None:
    if update:
        for watch in rewrite_watchers:
            await watch(name, user)
        await store_update(name, update, user, upon=unsaved_entries(name), to=loaded)


# The twins for synchronous code.
content = blocking(acontent)
edit_text = blocking(aedit_text)
html = blocking(ahtml)
json = blocking(ajson)
markdown = blocking(amarkdown)
replace = blocking(areplace)
text = blocking(atext)
