"""Lists of one connection each: ``class Meta: per_connection = True``.

The client names its list in the URL (``?list=<id>``), so that it finds the same one after a
reconnection; the id is a secret of that client. A list that was not open for a day is deleted when
another one of its state is opened.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from django.db import router
from django.utils import timezone

from collab import documents
from collab.live.models import StateList
from collab.live.state.declared_state import State

__all__ = ["delete_old_lists", "list_id_of"]

#: Key in a scope for the id of its connection's list.
_LIST_ID = "collab.list_id"
_ID = re.compile(r"[A-Za-z0-9-]{16,64}")

LIFETIME = timedelta(days=1)
#: At most this many lists are deleted at once.
_BATCH = 10


def list_id_of(scope: dict[str, Any]) -> str:
    """Return the id of a connection's list: from its URL, or a new one."""
    if _LIST_ID not in scope:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = query.get("list", [""])[0]
        scope[_LIST_ID] = given if _ID.fullmatch(given) else uuid4().hex
    found: str = scope[_LIST_ID]
    return found


def delete_old_lists(state: State) -> None:
    """Delete lists of a state that were not open for a while."""
    # The app is optional where there are no states.
    from collab.mirror.models import MirroredDocument

    records = MirroredDocument.objects.using(router.db_for_write(MirroredDocument)).filter(
        name__startswith=f"{state.label}/", opened_at__lt=timezone.now() - LIFETIME
    )
    for name in list(records.order_by("opened_at").values_list("name", flat=True)[:_BATCH]):
        documents.delete(name)
        StateList.objects.using(router.db_for_write(StateList)).filter(name=name).delete()
        records.filter(name=name).delete()
