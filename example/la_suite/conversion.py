"""Content in one format to another, by the media types that ``y-provider`` knows."""

import json
from collections.abc import Callable
from typing import Any

from pycrdt import Doc

from collab import content, documents
from collab.exceptions import ContentError

#: Media type -> a format of ``collab.content``, or "yjs" for the document itself.
READABLE = {
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "application/x-www-form-urlencoded": "markdown",
    "text/html": "html",
    "application/vnd.blocknote+json": "json",
    "application/vnd.yjs.doc": "yjs",
    "application/octet-stream": "yjs",
}
WRITABLE = {
    "application/vnd.yjs.doc": "yjs",
    "application/octet-stream": "yjs",
    "application/vnd.blocknote+json": "json",
    "application/json": "json",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "text/html": "html",
}

_READERS: dict[str, Callable[..., Any]] = {
    "markdown": content.from_markdown,
    "html": content.from_html,
    "json": content.from_json,
}


def read(data: bytes, media_type: str) -> bytes:
    """Return content as the update of a new document.

    Raises:
        ValueError: the content is not valid.
    """
    format = READABLE[media_type]
    doc: Doc[Any] = Doc()
    if format == "yjs":
        doc.apply_update(data)
        return doc.get_update()
    text = data.decode()
    try:
        value = json.loads(text) if format == "json" else text
        _READERS[format](doc, None, value, content.BLOCKNOTE)
    except (ContentError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return doc.get_update()


def write(update: bytes, media_type: str) -> bytes:
    """Return a document in another format; a large one is converted in another process."""
    format = WRITABLE[media_type]
    if format == "yjs":
        return update
    found = documents.DocumentContent("", update, content.BLOCKNOTE, None).render(format)  # type: ignore[arg-type]
    return (json.dumps(found) if format == "json" else str(found)).encode()
