"""The content of a document at one moment, in the formats of :mod:`collab.content`.

Large documents are converted in a process of their own, so that the server goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured

from collab_storage.subprocesses import run_in_process

if TYPE_CHECKING:
    # Imported when it is used: most projects only pass updates on.
    from collab.content import Schema
    from collab.content.writing import Format

__all__ = ["DocumentContent", "known_schema", "run_job"]

T = TypeVar("T")

#: Bytes of a document beyond which converting it takes more than some milliseconds.
_LARGE = 64 * 1024


def known_schema(name: str, schema: Schema | str | None) -> Schema | str:
    """Return ``schema``, by which the content of the document ``name`` is to be read.

    Raises:
        ImproperlyConfigured: it is ``None``.
    """
    if schema is None:
        raise ImproperlyConfigured(
            f'How is the content of {name!r} to be read? Set content = "tiptap", or another'
            " schema, on its document type, or pass schema=."
        )
    return schema


class DocumentContent:
    """The content of a document at one moment.

    Args:
        name: the document.
        update: its state.
        schema: of its content.
        field: the root that holds it.
    """

    def __init__(self, name: str, update: bytes, schema: Schema | str, field: str | None) -> None:
        self.name = name
        self._update = update
        self._schema = schema
        self._field = field

    @property
    def token(self) -> str:
        """The state, for ``replace(base=...)``: what the writer had read."""
        from collab.content.jobs import make_token

        return make_token(self._update)

    async def arender(self, format: Format) -> Any:
        """Return the content in a format: "html", "markdown", "text" or "json"."""
        from collab.content.jobs import render_update

        return await run_job(
            len(self._update), render_update, self._update, self._field, self._schema, format
        )

    def render(self, format: Format) -> Any:
        """See :meth:`arender`."""
        return async_to_sync(self.arender)(format)

    @property
    def html(self) -> str:
        """HTML that is safe to be put into a page."""
        return str(self.render("html"))

    @property
    def markdown(self) -> str:
        """Markdown in GitHub's flavour."""
        return str(self.render("markdown"))

    @property
    def text(self) -> str:
        """Plain text."""
        return str(self.render("text"))

    @property
    def json(self) -> Any:
        """The JSON of the editor."""
        return self.render("json")


async def run_job(size: int, function: Callable[..., T], *args: Any) -> T:
    """Call a job here, or in a process of its own if the document is large."""
    from collab.content.editors.names import schema_name

    if size <= _LARGE:
        return function(*args)
    update, field, schema, *rest = args
    name = schema_name(schema)
    if name is None:
        # A schema without a name cannot be sent to another process.
        return await asyncio.to_thread(function, *args)
    return await run_in_process(function, update, field, name, *rest)
