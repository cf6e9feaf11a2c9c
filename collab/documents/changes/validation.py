"""Sets a document back to its last valid state if its type refuses the present one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from collab.conf import get_storage
from collab.documents.changes.change import user_keys
from collab.documents.changes.refusals import objection
from collab.documents.document_type import overrides
from collab.documents.reading import read_to_edit
from collab.documents.registry import ResolvedName, resolve
from collab.engine.hub.current import in_all_hubs
from collab.engine.hub.working_copies import store_update, unsaved_entries
from collab.engine.relay.messages import order
from collab.engine.relay.publisher import publish
from collab.exceptions import DocumentNotFound
from collab.protocol.json_frames import json_frame
from collab.protocol.yjs.undoing import undoing
from collab.protocol.yjs.updates import EMPTY_UPDATE, merge
from collab_storage.base import DocumentId
from collab_storage.journal import EventKind
from collab_storage.models import QueuedEvent, RefusedState, ValidState
from collab_storage.surrogates import as_yjs

__all__ = ["validate_changes"]

logger = logging.getLogger("collab.changes")


def validate_changes(name: str, events: Sequence[QueuedEvent], using: str) -> None:
    """Ask the type of a document that has changed whether it is valid; set it back if it is not.

    Args:
        name: the document.
        events: of the document since it was delivered last.
        using: alias of the database with its last valid state.
    """
    resolved = resolve(name)
    if resolved is None or not overrides(type(resolved.document_type), "validate"):
        return
    document, (state, loaded) = _ChangedDocument(name, resolved, events, using), _load(name)
    # The type is asked before the transaction begins, which locks a database of SQLite.
    error = None if state is None else document.error(state)
    with transaction.atomic(using):
        _follow(name, events, using)
        if state is None:
            return
        if error is None:
            states = ValidState.objects.using(using)
            states.update_or_create(name=name, defaults={"state": state})
        else:
            document.refuse(state, error, loaded)


def _load(name: str) -> tuple[bytes | None, DocumentId | bool]:
    """Return the state of a document, if there is one, and its id for an edit."""
    try:
        doc, loaded = async_to_sync(read_to_edit)(name)
    except DocumentNotFound:
        return None, False
    return doc.get_update(), loaded


def _follow(name: str, events: Sequence[QueuedEvent], using: str) -> None:
    """Rename or delete the last valid state with its document, and rename its refused changes."""
    states = ValidState.objects.using(using)
    for event in events:
        if event.kind in (EventKind.DELETED, EventKind.RENAMED):
            states.filter(name=name).delete()
        if event.kind == EventKind.RENAMED:
            states.filter(name=event.old_name).update(name=name)
            RefusedState.objects.using(using).filter(name=event.old_name).update(name=name)


class _ChangedDocument:
    """A document that has changed, and its type."""

    def __init__(
        self, name: str, resolved: ResolvedName, events: Sequence[QueuedEvent], using: str
    ) -> None:
        self._name = name
        self._resolved = resolved
        self._events = events
        self._using = using
        keys = user_keys([] if events[-1].user_id is None else [events[-1].user_id])
        self._author = get_user_model()._default_manager.filter(pk__in=[*keys]).first()

    def error(self, state: bytes) -> ValidationError | None:
        """Return the type's objection to a state, if it has one."""
        return objection(self._resolved, state, self._author)

    def refuse(self, state: bytes, error: ValidationError, loaded: DocumentId | bool) -> None:
        """Keep a state for people, set the document back, and inform its authors.

        Raises:
            DocumentNotFound: the document was deleted since it was loaded.
        """
        update = self._way_back(state)
        if update is None:
            logger.error(
                "A document is not valid, and no valid state of it is known; it stays as it is.",
                extra={"room": self._name},
            )
        else:
            # With the updates that it builds upon: without them it would not undo anything.
            upon = unsaved_entries(self._name)
            async_to_sync(store_update)(self._name, update, None, upon=upon, to=loaded)
        authors = dict.fromkeys(event.user_id for event in self._events)
        RefusedState.objects.using(self._using).create(
            name=self._name,
            at=timezone.now(),
            user_ids=[author for author in authors if author is not None],
            # They may quote the document. PostgreSQL stores no text with NUL.
            reasons="\n".join(error.messages).replace("\0", "\N{REPLACEMENT CHARACTER}"),
            state=state,
            is_set_back=update is not None,
            undoing=update,
        )
        inform = partial(_inform, self._name, list(authors), _frame(error))
        transaction.on_commit(inform, self._using, robust=True)

    def _way_back(self, state: bytes) -> bytes | None:
        """Return the edit to a valid state; ``None`` if there is none."""
        for valid in self._valid_states():
            then, now = as_yjs([valid, state])
            update = undoing(then, now)
            if self.error(merge([now, update])) is None:
                return update
        return None

    def _valid_states(self) -> Iterator[bytes]:
        """Yield the states that the document may be set back to, the best first."""
        states = ValidState.objects.using(self._using).filter(name=self._name)
        for state in states.values_list("state", flat=True):
            yield bytes(state)
            return
        if any(event.kind == EventKind.CREATED for event in self._events):
            # All that it has came in these events: the seed first, if there is one.
            stored = async_to_sync(get_storage().load)(self._name)
            if stored is not None and stored.snapshot is None and stored.log[0].user_id is None:
                yield stored.log[0].data
            yield EMPTY_UPDATE


def _frame(error: ValidationError) -> str:
    fields = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    return json_frame("document", data={"fields": fields}, errors=error.messages, status=400)


def _inform(name: str, user_ids: list[str | None], frame: str) -> None:
    in_all_hubs(lambda hub: hub.inform(name, user_ids, frame))
    publish(name, order(name, "inform", users=user_ids, frame=frame))
