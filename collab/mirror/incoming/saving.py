"""Saves a user's changes of a row, after the serializer and the mirror's permissions allow them.

Nothing here knows of documents. Values that are not saved are returned as problems, by field.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    connections,
    router,
    transaction,
)
from django.db.models import Model, ProtectedError, RestrictedError, UUIDField
from rest_framework import exceptions as rest
from rest_framework.fields import HiddenField
from rest_framework.relations import ManyRelatedField
from rest_framework.serializers import ModelSerializer

from collab.mirror.registry import ModelMirror, User, Values
from collab.mirror.retry import is_outage
from collab.mirror.rows.values import Odd
from collab.mirror.users import acting_as
from collab.mirror.writers.changed_fields import save_values

__all__ = ["ROW", "Problem", "Problems", "Refused", "Saving"]

logger = logging.getLogger("collab.mirror")

#: In the place of a field: the row as a whole.
ROW = ""

#: Most rows that one field may name; each costs a query to check.
_MAX_RELATED = 1_000

_READ_ONLY = "You may not change this."
_FORBIDDEN = "You may not do this."
_NO_SUCH_ROW = "There is no such row here."


@dataclass(frozen=True, slots=True)
class Problem:
    """Reasons for not saving something; the status is one of HTTP."""

    status: int
    reasons: tuple[str, ...]


#: By field, or for the :data:`ROW`.
Problems = dict[str, Problem]


class Refused(Exception):
    """Nothing was saved."""

    def __init__(self, problems: Problems) -> None:
        super().__init__(problems)
        self.problems = problems


class _OthersRefused(Refused):
    """Other authors than the creator of a new row may not write its fields."""


def _refused(status: int, reason: str, field: str = ROW) -> Refused:
    return Refused({field: Problem(status, (reason,))})


@dataclass(frozen=True, slots=True)
class Saving:
    """Saves rows of a mirror, as they are in one document, for one user.

    Args:
        mirror: the rows'.
        room_name: the document.
        user: the author of the changes.
        patient: raise errors that may pass, such as a deadlock, for the caller to try again.
    """

    mirror: ModelMirror[Any]
    room_name: str
    user: User
    patient: bool = False

    def update(self, row: Model, changes: Values) -> Problems:
        """Save ``changes`` of ``row``, except those that have problems, which are returned."""
        problems = self._unfit(changes)
        while fit := {name: changes[name] for name in changes if name not in problems}:
            try:
                # A copy, as a failed attempt changes the instance all the same.
                self._attempt(row, lambda fit=fit: self._update(copy(row), fit))  # type: ignore[misc]
                break
            except Refused as refused:
                found = {name: refused.problems[name] for name in fit if name in refused.problems}
                problems |= found or dict.fromkeys(fit, _joined(refused.problems))
        return problems

    def create(
        self, key: str, values: Values, others: Mapping[str, User]
    ) -> tuple[Model, Problems]:
        """Create the row that a client has added under ``key``.

        Args:
            key: of the map.
            values: of the map.
            others: other users who have changed it since, by field.

        Returns:
            the row, and problems of values that it is created without.

        Raises:
            Refused: it is not created.
        """
        if not self.mirror.can_create:
            raise _refused(403, "You may not add rows.")
        self._check_key(key)
        given = dict(self.mirror.get_initial(self.room_name, self.user))
        problems = self._unfit(values) | self._overridden(values, given)
        made: list[Model] = []
        while not made:
            fit = {name: values[name] for name in values if name not in problems}
            try:
                self._attempt(
                    self.mirror.model(),
                    lambda fit=fit: made.append(  # type: ignore[misc]
                        self._create(key, fit, {**given}, others)
                    ),
                )
            except _OthersRefused as error:
                problems |= error.problems
        return made[0], problems

    def delete(self, row: Model) -> None:
        """Delete ``row``.

        Raises:
            Refused: it is still there.
        """
        if not self.mirror.can_delete:
            raise _refused(403, "You may not remove rows.")
        self._attempt(row, lambda: self._delete(copy(row)))

    # Fields that may be changed at all.

    @property
    def _writable(self) -> Sequence[str]:
        return self.mirror.get_writable_fields(self.room_name)

    def _unfit(self, changes: Values) -> Problems:
        fields = self._serializer().fields
        problems = {}
        for name, value in changes.items():
            if problem := self._problem_of(fields.get(name), name, value):
                problems[name] = problem
        return problems

    def _overridden(self, values: Values, given: Mapping[str, Any]) -> Problems:
        """Return problems of values that the server chooses for a new row."""
        fields = self._serializer().fields
        return {
            name: Problem(403, (_READ_ONLY,))
            for name in values.keys() & fields.keys()
            if self._is_given(fields[name], given)
        }

    def _is_given(self, field: Any, given: Mapping[str, Any]) -> bool:
        return field.source in given or f"{field.source}_id" in given

    def _problem_of(self, field: Any, name: str, value: Any) -> Problem | None:
        if field is None:
            return Problem(400, ("There is no such field.",))
        if field.read_only or name not in self._writable:
            return Problem(403, (_READ_ONLY,))
        if value is Odd.MISSING:
            return Problem(400, ("A field cannot be removed.",))
        if value is Odd.NOT_JSON:
            return Problem(400, ("This is not a value of JSON.",))
        is_list = isinstance(field, ManyRelatedField) and isinstance(value, list)
        if is_list and len(value) > _MAX_RELATED:
            return Problem(400, (f"At most {_MAX_RELATED} can be chosen.",))
        return None

    def _check_key(self, key: str) -> None:
        """Raise Refused unless ``key`` is a UUID that no row has."""
        try:
            is_uuid = str(UUID(key)) == key
        except ValueError:
            is_uuid = False
        if not is_uuid:
            raise _refused(400, "The key of a new row is a UUID.")
        if self._draws_pk and self.mirror.model._base_manager.filter(pk=key).exists():
            raise _refused(404, _NO_SUCH_ROW)

    @property
    def _draws_pk(self) -> bool:
        return isinstance(self.mirror.model._meta.pk, UUIDField)

    # Saving.

    def _update(self, row: Model, changes: Values) -> None:
        serializer = self._valid(row, changes)
        self._ask(row, _by_field(serializer, changes))
        if type(serializer).update is ModelSerializer.update:
            save_values(row, serializer.validated_data)
        else:
            serializer.save()

    def _create(
        self, key: str, values: Values, given: dict[str, Any], others: Mapping[str, User]
    ) -> Model:
        serializer = self._valid(None, values, given)
        if self._draws_pk:
            given["pk"] = UUID(key)
        draft = self.mirror.model(**given)
        _check_given(draft, given)
        changes = _by_field(serializer, values)
        self._ask(draft, changes)
        self._ask_others(draft, changes, others)
        row: Model = serializer.save(**given)
        rows = self.mirror.rows(self.room_name)
        if rows is None or not rows.filter(pk=row.pk).exists():
            raise _refused(403, "The new row does not belong here.")
        return row

    def _delete(self, row: Model) -> None:
        self._ask(row, {})
        row.delete()

    def _ask(self, row: Model, changes: Mapping[str, Any]) -> None:
        if not self._may(self.user, row, changes):
            raise _refused(403, _FORBIDDEN)

    def _may(self, user: User, row: Model, changes: Mapping[str, Any]) -> bool:
        return self.mirror.is_allowed(self.room_name, user, row, changes)

    def _ask_others(
        self, draft: Model, changes: Mapping[str, Any], others: Mapping[str, User]
    ) -> None:
        """Raise _OthersRefused if other users may not write the fields of the new row."""
        problems = {
            name: Problem(403, (_FORBIDDEN,))
            for name in changes.keys() & others.keys()
            if not self._may(others[name], draft, {name: changes[name]})
        }
        if problems:
            raise _OthersRefused(problems)

    def _serializer(self, *args: Any, **kwargs: Any) -> ModelSerializer[Any]:
        context = {"user": self.user, "room_name": self.room_name}
        return self.mirror.get_serializer_class(self.room_name)(*args, context=context, **kwargs)

    def _valid(
        self, row: Model | None, values: Values, given: Mapping[str, Any] = MappingProxyType({})
    ) -> ModelSerializer[Any]:
        serializer = self._serializer(row, data=values, partial=row is not None)
        for name in serializer.fields.keys() & set(self.mirror.text_fields):
            # A space at the end is the beginning of the next word.
            serializer.fields[name].trim_whitespace = False  # type: ignore[attr-defined]
        for name, field in serializer.fields.items():
            is_sent = name in self._writable or isinstance(field, HiddenField)
            if row is None and (not is_sent or self._is_given(field, given)):
                # A new row does not need it from the client.
                field.read_only = True
        serializer.is_valid(raise_exception=True)
        return serializer

    def _attempt(self, row: Model, save: Callable[[], object]) -> None:
        """Call ``save`` as the user, in a transaction.

        Raises:
            Refused: it has failed, for whatever reason, and has changed nothing.
        """
        using = router.db_for_write(type(row), instance=row)
        try:
            with acting_as(self.user), transaction.atomic(using):
                save()
        except Refused:
            raise
        except Exception as error:
            if is_outage(error) and (self.patient or not connections[using].is_usable()):
                raise
            raise Refused(self._problems_of(error)) from error

    def _problems_of(self, error: Exception) -> Problems:
        if isinstance(error, ValidationError | rest.ValidationError):
            return _invalid(error)
        if isinstance(error, PermissionDenied | rest.PermissionDenied):
            return {ROW: Problem(403, (_FORBIDDEN,))}
        if isinstance(error, ProtectedError | RestrictedError):
            return {ROW: Problem(400, ("Other rows depend on this one.",))}
        if isinstance(error, IntegrityError | DataError):
            return {ROW: Problem(400, ("This contradicts other data.",))}
        if not isinstance(error, DatabaseError):
            logger.error(
                "Row could not be saved; the change was refused.",
                exc_info=error,
                extra={"room": self.room_name},
            )
        return {ROW: Problem(500, ("The server cannot save this.",))}


def _invalid(error: ValidationError | rest.ValidationError) -> Problems:
    if isinstance(error, rest.ValidationError):
        detail: Any = error.detail
    else:
        detail = error.message_dict if hasattr(error, "error_dict") else error.messages
    if not isinstance(detail, dict):
        detail = {ROW: detail}
    return {
        ROW if name in ("non_field_errors", NON_FIELD_ERRORS) else name: Problem(
            400, tuple(_flat(reasons))
        )
        for name, reasons in detail.items()
    }


def _flat(detail: Any) -> list[str]:
    if isinstance(detail, dict):
        detail = list(detail.values())
    if isinstance(detail, list | tuple):
        return [reason for item in detail for reason in _flat(item)]
    return [str(detail)]


def _joined(problems: Problems) -> Problem:
    """Return the problems of a row as one of a field."""
    reasons = [reason for problem in problems.values() for reason in problem.reasons]
    return Problem(max(problem.status for problem in problems.values()), tuple(reasons))


def _check_given(draft: Model, given: Mapping[str, Any]) -> None:
    """Raise ValidationError if a new row refers to a row that does not exist.

    Databases report that at the commit only, which would roll back other users' changes, too.
    """
    others = [
        field.name
        for field in draft._meta.concrete_fields
        if field.primary_key or not {field.name, field.attname} & given.keys()
    ]
    draft.clean_fields(exclude=others)


def _by_field(serializer: ModelSerializer[Any], values: Values) -> dict[str, Any]:
    """Return validated values under the names of their fields."""
    return {name: _source(serializer, name) for name in values}


def _source(serializer: ModelSerializer[Any], name: str) -> Any:
    value: Any = serializer.validated_data
    for attribute in serializer.fields[name].source_attrs:
        value = value.get(attribute)
    return value
