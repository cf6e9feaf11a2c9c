"""Errors with which a project refuses a client, whatever library they are from."""

from __future__ import annotations

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.http import Http404

from collab.exceptions import Forbidden, MemberError, NoSuchDocument, Unauthenticated

__all__ = ["denial", "refusal_of"]


def denial(user_id: str | None) -> MemberError:
    """Return the error for a user without access, who may have to log in first."""
    return Unauthenticated() if user_id is None else Forbidden()


def refusal_of(error: Exception, user_id: str | None) -> MemberError | None:
    """Return the refusal that an error of ``authorize()`` is; ``None``: it failed to answer.

    A refusal is a ``MemberError``, an error of Django that a view would answer with 403 or 404,
    or an error with such a ``status_code``, as REST framework's have.
    """
    if isinstance(error, MemberError):
        return error
    if isinstance(error, PermissionDenied):
        return denial(user_id)
    if isinstance(error, Http404 | ObjectDoesNotExist):
        return NoSuchDocument()
    match getattr(error, "status_code", None):
        case 401 | 403:
            return denial(user_id)
        case 404:
            return NoSuchDocument()
    return None
