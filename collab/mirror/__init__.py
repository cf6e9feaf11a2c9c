"""Rows of Django models in shared documents, both ways.

``save()`` becomes a change of the document that every member sees; what a member changes there is
checked and saved. See :class:`ModelMirror`.
"""

from django.core.exceptions import ImproperlyConfigured

try:
    from .options import ModelMirror, register
except ModuleNotFoundError as error:
    if error.name != "rest_framework":
        raise
    raise ImproperlyConfigured(
        "collab.mirror turns rows into values with Django REST framework, which is not installed:"
        ' pip install "django-collab[rows]".'
    ) from error
from .users import current_user

__all__ = ["ModelMirror", "current_user", "register"]
