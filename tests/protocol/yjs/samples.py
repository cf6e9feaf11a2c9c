"""Yjs documents and updates to test with."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Text

from collab.protocol.yjs.updates import recording_updates as changes

__all__ = ["HELLO", "changes", "content", "insert", "new_doc", "text", "typed"]


def content(doc: Doc[Any]) -> Text:
    """Return the root text that the tests write in."""
    root: Text = doc.get("text", type=Text)
    return root


def text(doc: Doc[Any]) -> str:
    return str(content(doc))


def new_doc(start: str | bytes = "", client_id: int | None = None) -> Doc[Any]:
    """Return a document with that text, or that update."""
    doc: Doc[Any] = Doc(client_id=client_id)
    if isinstance(start, bytes):
        doc.apply_update(start)
    elif start:
        content(doc).insert(0, start)
    return doc


def insert(doc: Doc[Any], letters: str, at: int = 0) -> bytes:
    """Insert into the text and return that as an update."""
    with changes(doc) as updates:
        content(doc).insert(at, letters)
    return updates[0]


def typed(letters: str, client_id: int | None = None) -> list[bytes]:
    """Return the updates of typing ``letters`` one by one."""
    doc = new_doc(client_id=client_id)
    return [insert(doc, letter, at) for at, letter in enumerate(letters)]


#: "hello", as client 1 wrote it.
HELLO = new_doc("hello", client_id=1).get_update()
