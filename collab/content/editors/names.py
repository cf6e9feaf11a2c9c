"""Schemas by name, for settings, document types, commands and templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from collab.content.schema import Schema

from .blocknote.schema import BLOCKNOTE
from .lexical import LEXICAL
from .plain import MARKDOWN, PLAIN
from .prosemirror_basic import PROSEMIRROR_BASIC
from .quill import QUILL
from .tiptap import TIPTAP

__all__ = ["SCHEMAS", "find_schema", "schema_name"]

SCHEMAS: Final[Mapping[str, Schema]] = {
    schema.name: schema
    for schema in (TIPTAP, BLOCKNOTE, PROSEMIRROR_BASIC, QUILL, PLAIN, MARKDOWN, LEXICAL)
}


def find_schema(schema: Schema | str) -> Schema:
    """Return a schema by the name of a ready one, or by the dotted path of a project's own.

    Raises:
        ImproperlyConfigured: there is none.
    """
    if isinstance(schema, Schema):
        return schema
    if schema in SCHEMAS:
        return SCHEMAS[schema]
    try:
        found = import_string(schema)
    except ImportError as error:
        names = ", ".join(SCHEMAS)
        raise ImproperlyConfigured(
            f"There is no content schema {schema!r}. Ready ones are {names}; name one of your own"
            " by its dotted path."
        ) from error
    if not isinstance(found, Schema):
        raise ImproperlyConfigured(f"{schema} is not a content schema.")
    return found


def schema_name(schema: Schema | str | None) -> str | None:
    """Return the name under which another process finds a schema, if it can."""
    if isinstance(schema, str):
        return schema
    return next((name for name, ready in SCHEMAS.items() if ready is schema), None)
