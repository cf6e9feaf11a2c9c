"""Rich text in and out of documents: JSON, HTML, Markdown and plain text.

from collab import content, documents

html = content.to_html(documents.read("notes/5"), schema=content.TIPTAP)
"""

from .editors.tiptap import TIPTAP
from .rendering import to_html, to_json, to_markdown, to_text
from .schema import REQUIRED, Attribute, MarkType, NodeType, Schema

__all__ = [
    "REQUIRED",
    "TIPTAP",
    "Attribute",
    "MarkType",
    "NodeType",
    "Schema",
    "to_html",
    "to_json",
    "to_markdown",
    "to_text",
]
