"""States of documents that their types refuse, and applying one that was refused after all."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core.exceptions import ValidationError
from django.db import router, transaction

from collab.conf import get_storage
from collab.documents.reading import read_to_edit
from collab.documents.registry import ResolvedName, resolve
from collab.engine.hub.working_copies import store_update
from collab.exceptions import DocumentNotFound
from collab.protocol.yjs.undoing import undoing
from collab.protocol.yjs.updates import merge
from collab_storage.models import RefusedState
from collab_storage.subdocuments import temporary_doc
from collab_storage.surrogates import as_yjs

__all__ = ["apply_refused", "objection", "set_back_state"]


def objection(resolved: ResolvedName, state: bytes, author: Any) -> ValidationError | None:
    """Return the reasons of a document's type to refuse a state of it, if there are any."""
    document_type, parameters = resolved
    hook = document_type.validate
    call = async_to_sync(hook) if iscoroutinefunction(hook) else hook
    with temporary_doc(state) as doc:
        try:
            call(doc, author, **parameters)
        except ValidationError as error:
            return error
    return None


def set_back_state(refused: RefusedState) -> bytes | None:
    """Return the state that a document was set back to; ``None`` if it was not."""
    if refused.undoing is None:
        return None
    return merge([bytes(refused.state), bytes(refused.undoing)])


def apply_refused(refused: RefusedState, user: Any) -> None:
    """Apply the changes of a refused state to the present document, as those of a user.

    It is an edit of the document: later changes of others stay. Then there is no refused
    state any more.

    Raises:
        DocumentNotFound: the document has been deleted.
        ValidationError: its type refuses the result also of this user.
    """
    using = router.db_for_write(RefusedState, instance=refused)
    rows = RefusedState.objects.using(using).filter(pk=refused.pk)
    # The type may take its time, and others may have the rows meanwhile: it is asked before the
    # transaction. Changes since then are validated as every change is.
    update = None if (stored := rows.first()) is None else _way_back(stored)
    if stored is None or update is None:
        # Another user has applied it meanwhile, or there is nothing to apply.
        return
    doc, loaded = async_to_sync(read_to_edit)(stored.name)
    resolved, present = resolve(stored.name), doc.get_update()
    if resolved and (error := objection(resolved, merge([present, update]), user)):
        raise error
    with transaction.atomic(using):
        locked = rows.select_for_update().defer("state", "undoing").first()
        if locked is None:
            return
        if not async_to_sync(get_storage().exists)(locked.name):
            raise DocumentNotFound(locked.name)
        async_to_sync(store_update)(locked.name, update, user, to=loaded)
        rows.delete()


def _way_back(refused: RefusedState) -> bytes | None:
    """Return the update with the refused changes; ``None`` if they were not set back."""
    before = set_back_state(refused)
    if before is None:
        return None
    then, then_undone = as_yjs([bytes(refused.state), before])
    return undoing(then, then_undone)
