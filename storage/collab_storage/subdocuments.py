"""Subdocuments, which keep pycrdt from freeing the Doc that they are in.

A Doc with one subdocument is never freed, with all of its content. It is once its subdocuments are
deleted in it; so that is done in each Doc that is thrown away. Nothing of it is stored or sent.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pycrdt import Doc

from .structs import SUBDOCUMENT, read_structs
from .updates import is_panic, varuint

__all__ = ["delete_subdocuments", "has_subdocuments", "temporary_doc"]

#: The options of a subdocument: an object with few members.
_OPTIONS = re.compile(rb"v[\x00-\x0f]")


@contextmanager
def temporary_doc(update: bytes | None = None) -> Iterator[Doc[Any]]:
    """Return a Doc of an update, or an empty one, that can be freed behind the block."""
    doc: Doc[Any] = Doc()
    found: list[object] = []
    subscription = doc.observe_subdocs(found.append)
    try:
        if update is not None:
            doc.apply_update(update)
        yield doc
    finally:
        doc.unobserve(subscription)
        if found:
            delete_subdocuments(doc)


def has_subdocuments(update: bytes) -> bool:
    """Return whether an update of a Doc has subdocuments."""
    may_have = _OPTIONS.search(update) is not None
    return may_have and any(struct.kind == SUBDOCUMENT for struct in read_structs(update))


def delete_subdocuments(doc: Doc[Any]) -> None:
    """Delete all subdocuments in a Doc that is not used any more, so that it can be freed.

    A Doc that pycrdt has broken stays as it is.
    """
    clocks: defaultdict[int, list[bytes]] = defaultdict(list)
    try:
        for struct in read_structs(doc.get_update()):
            if struct.kind == SUBDOCUMENT:
                clocks[struct.client].append(varuint(struct.clock) + b"\1")
        parts = [b"\0", varuint(len(clocks))]
        for client, deleted in clocks.items():
            parts += [varuint(client), varuint(len(deleted)), *deleted]
        doc.apply_update(b"".join(parts))
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
