"""Serializers and views of Django REST framework that keep the changes of others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Model
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.utils.serializer_helpers import ReturnDict
from rest_framework.views import APIView

from collab.mirror.writers.changed_fields import save_values

__all__ = ["ETagMixin", "MirroredSerializerMixin", "PreconditionFailed", "PreconditionRequired"]


class PreconditionFailed(APIException):
    """The row has changed since the client read it."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The object has changed since it was read; read it again."
    default_code = "precondition_failed"


class PreconditionRequired(APIException):
    """A client has to say which version of the row it has read."""

    status_code = status.HTTP_428_PRECONDITION_REQUIRED
    default_detail = "If-Match is required, with the ETag of the object that was read."
    default_code = "precondition_required"


class MirroredSerializerMixin(ModelSerializer[Any]):
    """Saves the fields that the client has sent and that differ, and no others.

    A client that sends a whole row (``PUT``) overwrites all changes since it read the row.
    With ``If-Match`` and the ETag of the row (see :class:`ETagMixin`) it gets 412 instead.
    """

    #: Refuse ``PUT`` without ``If-Match``.
    requires_match = False

    def update(self, instance: Any, validated_data: Any) -> Any:
        """Save the changed fields."""
        with transaction.atomic(router.db_for_write(type(instance), instance=instance)):
            self._check_match(instance)
            save_values(instance, validated_data)
        return instance

    def _check_match(self, instance: Model) -> None:
        request = self.context.get("request")
        expected = None if request is None else request.headers.get("If-Match")
        if expected is None:
            if self.requires_match and request is not None and request.method == "PUT":
                raise PreconditionRequired
            return
        using = router.db_for_write(type(instance), instance=instance)
        rows = type(instance)._base_manager.using(using).filter(pk=instance.pk)
        if connections[using].features.has_select_for_update:
            rows = rows.select_for_update(of=("self",))
        present = rows.first()
        tags = {tag.strip() for tag in expected.split(",")}
        if present is None or not tags & {"*", etag(self.to_representation(present))}:
            raise PreconditionFailed


class ETagMixin(APIView):
    """Adds the ETag of a row to a view's responses that consist of one."""

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Add the header."""
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(getattr(final, "data", None), ReturnDict) and final.status_code < 300:
            final["ETag"] = etag(final.data)
        return final


def etag(data: Mapping[str, Any]) -> str:
    """Return the ETag of a serialized row."""
    text = json.dumps(data, cls=JSONEncoder, sort_keys=True)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
