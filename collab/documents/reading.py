"""Reading and listing documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import async_to_sync
from pycrdt import Doc

from collab.conf import get_storage
from collab.engine.hub.working_copies import blocking, load_copy, unsaved_updates
from collab_storage.base import DocumentId, DocumentInfo
from collab_storage.exceptions import DocumentNotFound

__all__ = [
    "aexists",
    "alist_documents",
    "aread",
    "exists",
    "list_documents",
    "read",
    "read_to_edit",
]


async def aread(room_name: str) -> Doc[Any]:
    """Return a private copy of a document, with the unsaved updates of live members.

    Raises:
        DocumentNotFound: nothing of that name is stored.
        DocumentCorrupt: the stored bytes cannot be read.
    """
    return (await read_to_edit(room_name))[0]


async def read_to_edit(room_name: str) -> tuple[Doc[Any], DocumentId | bool]:
    """Return the same as :func:`aread`, and the document's id, as ``load_copy()`` does.

    Raises:
        DocumentNotFound: nothing of that name is stored.
        DocumentCorrupt: the stored bytes cannot be read.
    """
    doc = Doc[Any]()
    loaded = await load_copy(room_name, doc)
    if not loaded:
        raise DocumentNotFound(f"There is no document {room_name!r}.")
    return doc, loaded


async def aexists(room_name: str) -> bool:
    """Return whether a document of this name is stored, or about to be."""
    return bool(unsaved_updates(room_name)) or await get_storage().exists(room_name)


async def alist_documents(prefix: str = "") -> AsyncIterator[DocumentInfo]:
    """Iterate over the stored documents whose names start with ``prefix``."""
    async for info in get_storage().documents(prefix):
        yield info


def list_documents(prefix: str = "") -> Iterator[DocumentInfo]:
    """See :func:`alist_documents`."""
    storage, after = get_storage(), ""
    while page := async_to_sync(storage.page)(prefix, after, 500):
        yield from page
        after = page[-1].name


# The twins for synchronous code.
exists = blocking(aexists)
read = blocking(aread)
