"""The methods of document types that are called after a change."""

from __future__ import annotations

from collab.documents.document_type import DocumentType

__all__ = ["has_hooks"]

_HOOKS = ("created", "changed", "deleted", "renamed", "validate")


def has_hooks(document_type: type[DocumentType]) -> bool:
    """Return whether a type overrides a method that is called after a change."""
    return any(getattr(document_type, hook) is not getattr(DocumentType, hook) for hook in _HOOKS)
