"""TypeScript from Python: types of serializers and annotations, and a class for each consumer.

``types`` and ``fields`` map values to types of JSON, ``channels`` maps consumers to classes,
``files`` collects them in one file for each app, and ``manage.py makefrontend`` writes the files.
"""

from .channels import typescript

__all__ = ["typescript"]
