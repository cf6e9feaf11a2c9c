"""Comparing versions of a document with each other and with its present content."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from collab.documents import type_of
from collab.documents.document_content import convert
from collab.engine.hub.working_copies import blocking
from collab.history.authorship.authors import attributed
from collab.history.jobs import run_history_job
from collab.history.keeping.operations import load
from collab.history.keeping.states import unpacked_size
from collab.history.present import Present

if TYPE_CHECKING:
    # Imported when it is used: most projects only pass updates on.
    from collab.history.comparing.changes import Comparison

__all__ = ["adiff", "diff"]


async def adiff(name: str, a: int, b: int | None = None) -> Comparison:
    """Compare two versions of a document by content, or a version with the present.

    The root that has a schema, as the document's type says, is compared by blocks and letters. So
    are other texts and XML; maps and arrays are compared by value.

    Args:
        name: the document.
        a: the earlier version.
        b: the later one; ``None`` for the document as it is now.

    Raises:
        ContentError: nodes of a version are nested too deeply.
        DocumentNotFound: nothing of that name is stored.
        VersionNotFound: the document has no such version.
    """
    compare_states = await asyncio.to_thread(_comparison)
    old = (await load(name, a)).states
    present, authorship = await attributed(name)
    new = present if b is None else (await load(name, b)).states
    size = new.size if isinstance(new, Present) else unpacked_size(new)
    known = type_of(name)
    schema, field = (known.content, known.content_field) if known else (None, None)
    size += unpacked_size(old)
    ranges, run = authorship.ranges, run_history_job
    return await convert(size, compare_states, (old, new), field, schema, ranges, run=run)


def _comparison() -> Callable[..., Comparison]:
    """Return the function that compares states, whose import takes some time."""
    from collab.history.comparing.contents import compare_states

    return compare_states


# The twins for synchronous code.
diff = blocking(adiff)
