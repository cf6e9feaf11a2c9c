"""The document types of the project, by the pattern of names that each is registered for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import ImproperlyConfigured

from collab.documents.document_type import DocumentType
from collab.documents.patterns import NamePattern
from collab.documents.reading import list_documents
from collab_storage.base import MAX_NAME_LENGTH

__all__ = [
    "Registration",
    "Registry",
    "ResolvedName",
    "name_of",
    "names",
    "register",
    "registrations",
    "resolve",
    "type_of",
]

T = TypeVar("T", bound=type[DocumentType])

#: Names whose types are remembered, the most recent ones.
_MAX_REMEMBERED = 4_096


@dataclass(frozen=True, slots=True)
class Registration:
    """A document type and the names that it is registered for."""

    pattern: NamePattern
    document_type: DocumentType


class ResolvedName(NamedTuple):
    """The type of a document, and the parameters that the pattern finds in the name."""

    document_type: DocumentType
    parameters: Mapping[str, Any]


class Registry(dict[type[DocumentType], Registration]):
    """The registered types; the type of a name is looked up once."""

    def __init__(self) -> None:
        super().__init__()
        self.find = lru_cache(_MAX_REMEMBERED)(self.look_up)

    def __setitem__(self, document_type: type[DocumentType], registration: Registration) -> None:
        super().__setitem__(document_type, registration)
        self.find.cache_clear()

    def look_up(self, name: str) -> ResolvedName | None:
        """Return the type of a name and its parameters, and remember nothing."""
        for registration in self.values():
            if (parameters := registration.pattern.match(name)) is not None:
                return ResolvedName(registration.document_type, MappingProxyType(parameters))
        return None


_registrations = Registry()


def register(pattern: str) -> Callable[[T], T]:
    """Register a document type for the names that match ``pattern``.

    Args:
        pattern: in the syntax of Django's ``path()``, such as ``"notes/<int:pk>"``. Of patterns
            that match the same name, the first that was registered decides.

    Raises:
        ImproperlyConfigured: the pattern is not valid, or the class is registered already.
    """
    names = NamePattern(pattern)

    def add(document_type: T) -> T:
        if document_type in _registrations:
            raise ImproperlyConfigured(
                f"{document_type.__qualname__} is registered for"
                f" {document_type.pattern!r} already; subclass it for another pattern."
            )
        document_type.pattern = pattern
        _registrations[document_type] = Registration(names, document_type())
        return document_type

    return add


def registrations() -> list[Registration]:
    """Return the registered types, in the order in which they are asked."""
    return list(_registrations.values())


def resolve(name: str) -> ResolvedName | None:
    """Return the type of the document ``name`` and its parameters, if a pattern matches."""
    # A longer name is of no document. Names that a client makes up must not fill the memory.
    find = _registrations.find if len(name) <= MAX_NAME_LENGTH else _registrations.look_up
    return find(name)


def type_of(name: str) -> type[DocumentType] | None:
    """Return the type of the document ``name``, if a registered pattern matches."""
    resolved = resolve(name)
    return None if resolved is None else type(resolved.document_type)


def name_of(document_type: type[DocumentType], **parameters: object) -> str:
    """Return the name of the document of a type with ``parameters``.

    Raises:
        ImproperlyConfigured: the type is not registered.
        TypeError: a parameter of the pattern is missing, or is not one.
        ValueError: a parameter's value is not valid in the pattern.
    """
    return _registration(document_type).pattern.name(**parameters)


def names(document_type: type[DocumentType]) -> Iterator[str]:
    """Iterate over the names of the stored documents of a type.

    Raises:
        ImproperlyConfigured: the type is not registered.
    """
    for info in list_documents(_registration(document_type).pattern.prefix):
        if type_of(info.name) is document_type:
            yield info.name


def _registration(document_type: type[DocumentType]) -> Registration:
    """Return the registration of a type.

    Raises:
        ImproperlyConfigured: there is none.
    """
    try:
        return _registrations[document_type]
    except KeyError:
        raise ImproperlyConfigured(
            f"{document_type.__qualname__} is not registered: decorate it with"
            ' @documents.register("..."), in the module documents of an installed app.'
        ) from None
