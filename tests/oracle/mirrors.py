"""Mirrors that a test has drawn: which fields of tasks are in the documents of which audience."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from collab.mirror import ModelMirror, register
from tests.rows.models import Task

__all__ = ["READER", "VARIABLE", "Spec", "rooms_of"]

#: Environment variable with the mirrors, as JSON.
VARIABLE = "COLLAB_TEST_MIRRORS"
#: Primary key of a user who may not write rows.
READER = 3
#: By audience, the field that its documents are named by.
_KEYS = {"board": "board_id", "owner": "owner_id", "all": None}


@dataclass(frozen=True)
class Spec:
    """A mirror.

    Args:
        map_name: of the mirror.
        audience: a document for each board, for each owner, or one for all.
        fields: shown fields.
        writable: those of them that clients may change.
        done: rows with this value only, or all with ``None``.
        is_open: clients may create and delete rows.
    """

    map_name: str
    audience: str
    fields: tuple[str, ...]
    writable: tuple[str, ...]
    done: bool | None
    is_open: bool


def rooms_of(spec: Spec, numbers: Iterable[int]) -> list[str]:
    """Return the documents of a mirror for boards, or owners, with these primary keys."""
    if spec.audience == "all":
        return ["oracle-all"]
    return [f"oracle-{spec.audience}-{number}" for number in numbers]


def _mirror(spec: Spec) -> type[ModelMirror[Task]]:
    key = _KEYS[spec.audience]
    prefix = f"oracle-{spec.audience}"

    class DrawnMirror(ModelMirror[Task]):
        map_name = spec.map_name
        fields = spec.fields
        writable_fields = spec.writable
        text_fields = tuple({"body"} & set(spec.fields))
        can_create = can_delete = spec.is_open

        def get_room_names(self, instance: Task) -> list[str]:
            if key is None:
                return [prefix]
            number = getattr(instance, key)
            return [] if number is None else [f"{prefix}-{number}"]

        def get_queryset(self, room_name: str) -> QuerySet[Task] | None:
            rows = Task.objects.all() if spec.done is None else Task.objects.filter(done=spec.done)
            if key is None:
                return rows if room_name == prefix else None
            found, _, number = room_name.rpartition("-")
            return rows.filter(**{key: int(number)}) if found == prefix else None

        def get_initial(self, room_name: str, user: Any) -> Mapping[str, Any]:
            number = room_name.rpartition("-")[2]
            return {"board_id": 1} | ({} if key is None else {key: int(number)})

        def has_write_permission(
            self, user: Any, instance: Task, changes: Mapping[str, Any]
        ) -> bool:
            return user.pk != READER and "no" not in str(changes.get("title"))

    return DrawnMirror


for _values in json.loads(os.environ.get(VARIABLE, "[]")):
    register(Task)(_mirror(Spec(**_values)))
