"""Text frames of what Django and REST framework have: dates, decimals, lazy texts and the like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
from rest_framework.utils.encoders import JSONEncoder

from collab.protocol.session import envelope

__all__ = ["as_json", "frame", "spliced_frame"]


class _Encoder(JSONEncoder):
    """REST framework's, for dataclasses, enumerations and structures, too.

    Decimals are text, as its serializers have them: they lose nothing.
    """

    def default(self, obj: Any) -> Any:
        if isinstance(obj, Decimal):
            return str(obj)
        if is_dataclass(obj) or isinstance(obj, Enum | msgspec.Struct):
            return msgspec.to_builtins(obj, str_keys=True, enc_hook=super().default)
        return super().default(obj)


def as_json(value: Any) -> str:
    """Return a value as JSON.

    Raises:
        TypeError, ValueError: JSON has nothing for it.
    """
    return json.dumps(value, cls=_Encoder, allow_nan=False)


def frame(
    action: object,
    data: Any = None,
    *,
    request_id: object = None,
    errors: Sequence[Any] = (),
    status: int = 200,
) -> str:
    """Return a text frame; see :func:`collab.protocol.session.envelope`."""
    return as_json(envelope(action, data=data, request_id=request_id, errors=errors, status=status))


def spliced_frame(action: str, json: str, *, request_id: object = None, **more: object) -> str:
    """Return a text frame with data that is JSON already, and with ``more`` beside it."""
    rest = envelope(action, request_id=request_id) | more
    del rest["data"]
    return f'{{"data": {json}, {as_json(rest)[1:]}'
