"""TypeScript from Python: the types of serializers and annotations, and a class for each consumer.

``types`` and ``fields`` say what a value is in JSON, ``channels`` what a consumer's clients may
do, ``files`` puts it into one file for each app, and ``manage.py makefrontend`` writes these.
"""

from .channels import typescript

__all__ = ["typescript"]
