"""Authors of unchecked edits: the storage's log has the user of each update.

Needed when the process that a member was connected to has ended before the check.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from pycrdt import Doc

from collab.conf import get_storage
from collab.exceptions import ProtocolViolation
from collab.mirror.incoming.map_events import apply_observed
from collab.mirror.incoming.row_edits import Differences, RowKey
from collab.mirror.incoming.saving import ROW
from collab.mirror.models import MirroredDocument
from collab.mirror.registry import User
from collab.protocol.yjs.poisoned_doc import PoisonedDoc
from collab.protocol.yjs.updates import apply
from collab.protocol.yjs.validation import Section, check_structure
from collab_storage.base import LogRow, StoredDocument
from collab_storage.compaction import read_stored
from collab_storage.exceptions import DocumentCorrupt
from collab_storage.updates import EMPTY_UPDATE

__all__ = ["Users", "authors"]

logger = logging.getLogger("collab.mirror")

#: By the name of the map and the key of a row, and by field or the row as a whole.
Users = dict[RowKey, dict[str, User]]
#: The same with primary keys as text; ``None`` is an anonymous user.
_Keys = dict[RowKey, dict[str, str | None]]


def authors(room_name: str, found: Differences) -> Users:
    """Return the users who made the ``found`` differences, as far as the log has them.

    A compaction removes updates from the log, and with them their authors.
    """
    if not found:
        return {}
    storage = get_storage()
    stored = storage.wait_for(partial(storage.load, room_name))
    if stored is None:
        return {}
    try:
        read = read_stored(stored, room_name).read
        keys = _authors(room_name, read, {map_name for map_name, _ in found})
    except (DocumentCorrupt, PoisonedDoc, ProtocolViolation):
        text = "Authors of row edits could not be determined; the edits count as anonymous."
        logger.exception(text, extra={"room": room_name})
        return {}
    return _named(found, keys)


def _named(found: Differences, keys: _Keys) -> Users:
    known = _users({key for names in keys.values() for key in names.values() if key})
    users: defaultdict[RowKey, dict[str, User]] = defaultdict(dict)
    for row, names in found.items():
        of_row = keys.get(row, {})
        for name in names:
            key = of_row.get(name, of_row.get(ROW))
            if key in known:
                users[row][name] = known[key]
    return users


def _users(keys: Iterable[str]) -> dict[str | None, User]:
    model = get_user_model()
    pks = []
    for key in keys:
        try:
            pks.append(model._meta.pk.to_python(key))
        except ValidationError:
            # The project admits other users than those of its user model.
            continue
    return {str(user.pk): user for user in model._base_manager.filter(pk__in=pks)}


def _authors(room_name: str, stored: StoredDocument, map_names: Collection[str]) -> _Keys:
    records = MirroredDocument.objects.filter(name=room_name)
    server = set(records.values_list("client_id", flat=True))
    doc, found = Doc[Any](), _Keys()
    apply(doc, stored.snapshot or EMPTY_UPDATE)
    for row, sections in _in_order(stored.log):
        changed = apply_observed(doc, row.data, map_names)
        if row.user_id is None and {section[0] for section in sections} <= server:
            # It writes the values of the database.
            continue
        for map_name, fields in changed.items():
            for key, name in fields:
                of_row = found.setdefault((map_name, key), {})
                if name == ROW:
                    of_row.clear()
                of_row[name] = row.user_id
    return found


def _in_order(log: Sequence[LogRow]) -> Iterator[tuple[LogRow, list[Section]]]:
    """Yield the updates of a log and their insertions, those of users first.

    The server stores with its rows the unsaved updates of members, which are stored as theirs a
    moment later.
    """
    left = {row: check_structure(row.data).sections for row in log}
    of_client: defaultdict[int, list[LogRow]] = defaultdict(list)
    for row, sections in left.items():
        for section in sections if row.user_id is not None else ():
            of_client[section[0]].append(row)
    for row in log:
        sections = left.get(row, [])
        if row.user_id is None:
            for client, _, end, *_ in sections:
                for theirs in of_client[client]:
                    if theirs in left and _begins(left[theirs], client) < end:
                        yield theirs, left.pop(theirs)
        if row in left:
            yield row, left.pop(row)


def _begins(sections: Iterable[Section], client: int) -> int:
    return min(section[1] for section in sections if section[0] == client)
