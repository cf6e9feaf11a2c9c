"""The text of a document's root as a column holds it: HTML of a rich text, or the text itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from asgiref.sync import async_to_sync

from collab import documents
from collab.documents.document_content import DocumentContent, convert
from collab.documents.merging.texts import merge_text
from collab_storage.exceptions import DocumentNotFound
from collab_storage.updates import EMPTY_UPDATE

__all__ = ["FORMATS", "TextFormat"]

Written: TypeAlias = Literal["html", "markdown", "text"]

_TAG = re.compile(r"<[a-zA-Z!/]")
#: The HTML of a rich text without letters, as an editor leaves it; a column holds nothing then.
_EMPTY = "<p></p>"
#: The end of a block, behind which two versions of an HTML text are compared anew.
_BLOCK_END = re.compile(r"(</(?:p|h[1-6]|li|ul|ol|pre|blockquote|table|tr|td|th|div)>)(?!\n)")


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A kind of text.

    Args:
        schema: of the root's content.
        written: the format of the column.
    """

    schema: str
    written: Written

    def format_of(self, value: str) -> Written:
        """Return the format in which a value is read.

        A rich text without any tag is plain text, as of a column that was not rich before.
        """
        return "text" if self.written == "html" and not _TAG.search(value) else self.written

    def render(self, name: str, update: bytes, root: str) -> str:
        """Return a root of a document, given as an update, as a column holds it."""
        return self._shown(DocumentContent(name, update, self.schema, root))

    def _shown(self, content: DocumentContent) -> str:
        # A document may have NUL, and a column of PostgreSQL cannot.
        text = str(content.render(self.written)).replace("\0", "")
        return "" if self.written == "html" and text == _EMPTY else text

    def make(self, root: str, value: str) -> bytes:
        """Return a new document, as an update, that has a value in a root."""
        from collab.content.jobs import Replacement, replace_update

        wanted = Replacement(value, self.format_of(value), None, "merge")
        update, _report = async_to_sync(convert)(
            wanted.cost, replace_update, EMPTY_UPDATE, root, self.schema, wanted
        )
        return update or EMPTY_UPDATE

    def clean(self, value: str) -> str:
        """Return a value as a document renders it, so that HTML is safe to be put into a page."""
        if self.written != "html" or not value:
            return value
        return self.render("", self.make("text", value), "text")

    def write(self, name: str, root: str, value: str, base: str | None) -> str:
        """Write a value into a root of a document, and return the value afterwards.

        Args:
            name: the document.
            root: of it.
            value: its new value.
            base: the value that was changed. Later changes of others stay; ``None`` takes
                it back.
        """
        present, token = self._present(name, root)
        if value == present:
            return present
        if base is not None and base != present:
            value = self._merged(base, value, present)
        content: dict[str, Any] = {self.format_of(value): value}
        documents.replace(
            name,
            **content,
            base=token,
            schema=self.schema,
            field=root,
        )
        return self._present(name, root)[0]

    def _present(self, name: str, root: str) -> tuple[str, str | None]:
        try:
            content = documents.content(name, schema=self.schema, field=root)
        except DocumentNotFound:
            return "", None
        return self._shown(content), content.token

    def _merged(self, base: str, value: str, present: str) -> str:
        if self.written != "html":
            return merge_text(base, value, present)
        # By blocks first, so that changes of different ones do not touch.
        texts = (_BLOCK_END.sub(r"\1\n", text) for text in (base, self.clean(value), present))
        return merge_text(*texts)


#: By the name of the editor.
FORMATS: Final[Mapping[str, TextFormat]] = {
    "rich": TextFormat("tiptap", "html"),
    "markdown": TextFormat("markdown", "markdown"),
    "code": TextFormat("plain", "text"),
    "plain": TextFormat("plain", "text"),
}
