"""Rows of Django models in shared documents, both ways.

``save()`` becomes a change of the document that every member sees; what a member changes there is
checked and saved. See :class:`ModelMirror`.
"""

from .options import ModelMirror, register
from .users import current_user

__all__ = ["ModelMirror", "current_user", "register"]
