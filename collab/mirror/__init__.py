"""Rows of Django models in shared documents, both ways.

``save()`` becomes a change of the document that every member sees; changes by members are checked
and saved. See :class:`ModelMirror`.
"""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

try:
    from collab.mirror.owned import OwnRowsMirror, is_own_or_shared, split_room_name
    from collab.mirror.registry import ModelMirror, register
except ModuleNotFoundError as error:
    if error.name != "rest_framework":
        raise
    raise ImproperlyConfigured(
        "collab.mirror turns rows into values with Django REST framework, which is not installed:"
        ' pip install "django-collab[rows]".'
    ) from error
from .querysets import MirroredManager, MirroredQuerySet, touch
from .users import current_user

if TYPE_CHECKING:
    from .writers.mirrored_model import MirroredModel

__all__ = [
    "MirroredManager",
    "MirroredModel",
    "MirroredQuerySet",
    "ModelMirror",
    "OwnRowsMirror",
    "current_user",
    "is_own_or_shared",
    "reconcile",
    "register",
    "split_room_name",
    "touch",
]


def reconcile(room_name: str) -> bool:
    """Make a document equal to its rows, as opening it does; create it if there is none.

    Returns:
        False if no mirror has rows for the document.
    """
    # Not with this module, which is imported before models are loaded.
    from collab.mirror.outgoing import writing

    return writing.reconcile(room_name)


def __getattr__(name: str) -> Any:
    """Import the model when it is used first: this module is imported before models may be."""
    if name != "MirroredModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .writers.mirrored_model import MirroredModel

    return MirroredModel
