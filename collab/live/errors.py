"""Errors as callers see them: an HTTP status and reasons, nothing internal."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.http import Http404
from rest_framework.exceptions import APIException
from rest_framework.fields import get_error_detail

from collab.exceptions import CollabError

__all__ = ["CallError", "answer_of"]


class CallError(CollabError):
    """A refusal of a call; actions raise it with the reason.

    Args:
        status: as in HTTP.
        errors: reasons, or reasons by argument.
    """

    def __init__(self, status: int, errors: str | list[Any] | dict[str, Any]) -> None:
        super().__init__(str(errors))
        self.status = status
        self.errors = errors


def answer_of(error: Exception) -> tuple[int, list[Any]] | None:
    """Return status and reasons of an error caused by the caller; ``None`` for other errors.

    Reasons by field or argument are one dictionary, as in REST framework.
    """
    match error:
        case CallError():
            return error.status, _listed(error.errors)
        case APIException():
            return error.status_code, _listed(error.detail)
        case Http404() | ObjectDoesNotExist():
            return 404, ["Not found"]
        case PermissionDenied():
            return 403, ["You do not have permission to perform this action."]
        case ValidationError():
            return 400, _listed(get_error_detail(error))
    return None


def _listed(errors: Any) -> list[Any]:
    return errors if isinstance(errors, list) else [errors]
