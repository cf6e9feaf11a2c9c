"""Rich text in and out of documents: JSON, HTML, Markdown and plain text.

from collab import content, documents

html = content.to_html(documents.read("notes/5"), schema=content.TIPTAP)
"""

from .editors.blocknote.schema import BLOCKNOTE
from .editors.lexical import LEXICAL
from .editors.plain import MARKDOWN, PLAIN
from .editors.prosemirror_basic import PROSEMIRROR_BASIC
from .editors.quill import QUILL
from .editors.tiptap import TIPTAP
from .pieces.blocks import Block, Blocks, blocks
from .pieces.text_search import Match, edit_text, find_text, replace_text
from .rendering import to_html, to_json, to_markdown, to_text
from .report import Report
from .schema import REQUIRED, Attribute, MarkType, NodeType, Schema
from .writing import from_html, from_json, from_markdown, from_text, replace

__all__ = [
    "BLOCKNOTE",
    "LEXICAL",
    "MARKDOWN",
    "PLAIN",
    "PROSEMIRROR_BASIC",
    "QUILL",
    "REQUIRED",
    "TIPTAP",
    "Attribute",
    "Block",
    "Blocks",
    "MarkType",
    "Match",
    "NodeType",
    "Report",
    "Schema",
    "blocks",
    "edit_text",
    "find_text",
    "from_html",
    "from_json",
    "from_markdown",
    "from_text",
    "replace",
    "replace_text",
    "to_html",
    "to_json",
    "to_markdown",
    "to_text",
]
