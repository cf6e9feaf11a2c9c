"""Content of documents in templates: ``{% load collab_content %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.safestring import SafeString, mark_safe
from pycrdt import Doc

from collab import documents
from collab_storage.exceptions import DocumentNotFound

__all__ = ["collab_html", "collab_text"]

register = template.Library()


@register.filter
def collab_html(document: Any, schema: str | None = None) -> SafeString:
    """Return a document as HTML: ``{{ "notes/5"|collab_html }}``.

    Args:
        document: its name, or a Doc that the view has read.
        schema: of its content; by default that of the document's type, or for a Doc Tiptap's.

    A document that does not exist yet is empty.
    """
    return mark_safe(_render(document, schema, "html"))


@register.filter
def collab_text(document: Any, schema: str | None = None) -> str:
    """Return a document as plain text; see :func:`collab_html`."""
    return _render(document, schema, "text")


def _render(document: Any, schema: str | None, format: str) -> str:
    from collab import content
    from collab.content.editors.names import find_schema

    if isinstance(document, Doc):
        write = content.to_html if format == "html" else content.to_text
        return write(document, schema=find_schema(schema or "tiptap"))
    read = documents.html if format == "html" else documents.text
    try:
        return read(str(document), schema=schema)
    except DocumentNotFound:
        return ""
