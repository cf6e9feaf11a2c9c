"""The nodes and marks that the editor of pages has (``frontend/text.ts``)."""

from collab.content import TIPTAP

PAGE = TIPTAP.without(
    *("image", "mention", "highlight", "table", "tableRow", "tableCell", "tableHeader")
)
