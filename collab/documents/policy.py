"""Asks the type of a document, on behalf of every way to it (I12)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from django.core.exceptions import ValidationError
from pycrdt import Doc

from collab.access import Access
from collab.conf import get_settings, get_storage
from collab.documents.document_type import overrides
from collab.documents.hooks.calling import call_hook
from collab.documents.registry import ResolvedName, resolve
from collab.engine.connections.refusals import refusal_of
from collab.engine.hub.working_copies import load_copy, new_entry
from collab.engine.rules import DocumentRules
from collab.engine.runtime.gathering import Gathering
from collab.engine.runtime.per_loop import PerLoop
from collab.engine.serving.access_check import is_rechecking
from collab.engine.storing.upgrade import mark_version
from collab.exceptions import ProtocolViolation
from collab.protocol.yjs.updates import EMPTY_STATE, apply, read_state
from collab_storage.base import DocumentId
from collab_storage.subdocuments import temporary_doc
from collab_storage.surrogates import as_yjs

__all__ = [
    "absolute_url",
    "access_of",
    "authorize",
    "default_access",
    "ensure_seeded",
    "find_type_rules",
    "load_seeded",
    "may_read",
    "seed",
]

logger = logging.getLogger("collab.access")

#: Consumers whose refusal of every user was logged.
_reported: set[type] = set()


async def authorize(name: str, user: Any) -> Access | None:
    """Return the access of ``user`` to the document ``name``; ``None`` if it has no type.

    Raises:
        MemberError: the type refuses with an error.
    """
    resolved = resolve(name)
    if resolved is None:
        return None
    document_type, parameters = resolved
    if overrides(type(document_type), "access_for"):
        if is_rechecking.get():
            return await _gatherings.current().ask(name, user)
        if not overrides(type(document_type), "authorize"):
            return await _access_of_one(name, user)
    return Access(await call_hook(document_type.authorize, user, **parameters))


async def _access_of_one(name: str, user: Any) -> Access:
    (access,) = await _access_for(name, [user])
    if isinstance(access, Exception):
        raise access
    return access


async def _access_for(name: str, users: Sequence[Any]) -> list[Access | Exception]:
    """Return the access of each user, or an error, from a type that answers for many users."""
    resolved = resolve(name)
    assert resolved is not None
    document_type, parameters = resolved
    found: list[Access | Exception] = [Access.NONE] * len(users)
    for group in _distinguishable(users):
        answer = await call_hook(document_type.access_for, [*group], **parameters)
        if not isinstance(answer, Mapping):
            raise TypeError(
                f"access_for() of {type(document_type).__qualname__} returned"
                f" {type(answer).__name__}: return a dict of Access by user."
            )
        for user, numbers in group.items():
            for number in numbers:
                found[number] = _as_access(answer.get(user, Access.NONE))
    return found


_gatherings: PerLoop[Gathering[str, Any, Access]] = PerLoop(lambda: Gathering(_access_for))


def _distinguishable(users: Sequence[Any]) -> list[dict[Any, list[int]]]:
    """Return the users in groups that a dict distinguishes, with the positions of each.

    Users with the same primary key are equal, and yet one may have fewer rights: that of a token.
    """
    groups: list[dict[Any, list[int]]] = []
    for number, user in enumerate(users):
        for group in groups:
            positions = group.setdefault(user, [])
            if not positions or _are_alike(users[positions[0]], user):
                positions.append(number)
                break
        else:
            groups.append({user: [number]})
    return groups


def _are_alike(user: Any, other: Any) -> bool:
    """Return whether users that are equal have the same attributes, too."""
    return user is other or getattr(user, "__dict__", 0) == getattr(other, "__dict__", 1)


def _as_access(value: Any) -> Access | Exception:
    try:
        return Access(value)
    except ValueError as error:
        return error


def access_of(name: str, user: Any) -> Access | None:
    """Return the same as :func:`authorize`; ``Access.NONE`` if the type refuses with an error."""
    try:
        return async_to_sync(authorize)(name, user)
    except Exception as error:
        if refusal_of(error, None) is None:
            raise
        return Access.NONE


def may_read(name: str, user: Any) -> bool:
    """Return whether ``user`` may read the document ``name``; one without a type may be (I12)."""
    access = access_of(name, user)
    return access is None or access >= Access.READ


def default_access(consumer: type) -> Access:
    """Return ``COLLAB["DEFAULT_ACCESS"]``, for a consumer that does not decide who may connect."""
    access = Access[get_settings().DEFAULT_ACCESS.upper()]
    if access == Access.NONE and consumer not in _reported:
        _reported.add(consumer)
        logger.error(
            "%s refuses all users: nothing decides who may connect. Override authorize(), give a "
            "LiveConsumer permission_classes, or register a document type for the name; "
            'COLLAB["DEFAULT_ACCESS"] = "write" opens these documents to all users.',
            consumer.__qualname__,
        )
    return access


async def seed(name: str, doc: Doc[Any]) -> None:
    """Fill the new document ``name`` as its type says."""
    if (resolved := resolve(name)) is None:
        return
    document_type, parameters = resolved
    if overrides(type(document_type), "load_legacy"):
        legacy = await call_hook(document_type.load_legacy, **parameters)
        if legacy is not None:
            (state,) = as_yjs([read_state(legacy)])
            apply(doc, state)
            return
    await call_hook(document_type.seed, doc, **parameters)


async def load_seeded(name: str, doc: Doc[Any]) -> DocumentId | bool:
    """Fill the empty ``doc`` with a document; one that is not stored yet is seeded.

    Returns:
        The same as :func:`load_copy`.
    """
    found = await load_copy(name, doc)
    if not found and await _store_seed(name):
        found = await load_copy(name, doc)
    return found


async def ensure_seeded(name: str) -> None:
    """Seed a document that is not stored yet, if its type has anything to seed it with."""
    if _has_seed(name) and not await get_storage().exists(name):
        await _store_seed(name)


def _has_seed(name: str) -> bool:
    resolved = resolve(name)
    if resolved is None:
        return False
    document_type = resolved.document_type
    has_own = overrides(type(document_type), "seed", "load_legacy")
    return document_type.version is not None or has_own


async def _store_seed(name: str) -> bool:
    """Store the seed of a document; return whether there is one, of this or another process."""
    if not _has_seed(name):
        return False
    with temporary_doc() as doc:
        await seed(name, doc)
        mark_version(doc, find_type_rules(name))
        if doc.get_state() == EMPTY_STATE:
            return False
        await get_storage().create(new_entry(name, doc.get_update(), None))
    return True


async def absolute_url(name: str) -> str | None:
    """Return the address of the page that shows a document, if its type knows one."""
    if (resolved := resolve(name)) is None:
        return None
    url = await call_hook(resolved.document_type.get_absolute_url, **resolved.parameters)
    return None if url is None else str(url)


def find_type_rules(name: str) -> DocumentRules | None:
    """Return the rules of the document ``name``, if it has a type."""
    resolved = resolve(name)
    if resolved is None:
        return None
    document_type, parameters = resolved
    kind, hook = type(document_type), partial(call_hook, **parameters)
    return DocumentRules(
        document_type.version,
        document_type.comment_formats,
        partial(hook, document_type.upgrade),
        partial(_check_update, resolved) if overrides(kind, "check_update") else None,
        partial(hook, document_type.presence) if overrides(kind, "presence") else None,
    )


def _check_update(resolved: ResolvedName, member: Any, outline: Any) -> None:
    """Refuse an update of a member as the type does."""
    document_type, parameters = resolved
    try:
        document_type.check_update(member, outline, **parameters)
    except ValidationError as error:
        raise ProtocolViolation(" ".join(error.messages)) from error
