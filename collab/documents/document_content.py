"""The content of a document at one moment, in the formats of :mod:`collab.content`.

Large documents are converted in a process of their own, so that the server goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured

from collab_storage.subprocesses import LARGE, run_job

if TYPE_CHECKING:
    # Imported when it is used: most projects only pass updates on.
    from collab.content import Schema
    from collab.content.writing import Format

__all__ = ["DocumentContent", "convert", "known_schema"]

T = TypeVar("T")


def known_schema(name: str, schema: Schema | str | None) -> Schema | str:
    """Return ``schema``, by which the content of the document ``name`` is read.

    Raises:
        ImproperlyConfigured: it is ``None``.
    """
    if schema is None:
        raise ImproperlyConfigured(
            f'The content of {name!r} has no schema: set content = "tiptap", or another'
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
        """The token of this state, for ``replace(base=...)``."""
        from collab.content.jobs import make_token

        return make_token(self._update)

    async def arender(self, format: Format) -> Any:
        """Return the content in a format: "html", "markdown", "text" or "json"."""
        from collab.content.jobs import render_update

        return await convert(
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


async def convert(
    size: int,
    job: Callable[..., T],
    content: object,
    field: str | None,
    schema: Schema | str | None,
    *args: object,
    run: Callable[..., Awaitable[T]] = run_job,
) -> T:
    """Return the result of a job such as those of :mod:`collab.content.jobs` on ``size`` bytes.

    A large document is converted in a process of its own, as ``run`` does it; in a thread if its
    schema has no name by which another process finds it.
    """
    from collab.content.editors.names import schema_name

    name = schema_name(schema)
    if name is None and schema is not None and size > LARGE:
        return await asyncio.to_thread(job, content, field, schema, *args)
    return await run(size, job, content, field, name or schema, *args)
