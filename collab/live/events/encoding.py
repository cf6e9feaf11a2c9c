"""Text frames with values of Django and REST framework: dates, decimals, lazy texts and so on."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any

import msgspec
from rest_framework.utils.encoders import JSONEncoder

from collab.protocol.json_frames import envelope, json_frame

__all__ = ["as_json", "frame", "spliced_frame"]


class _Encoder(JSONEncoder):
    """REST framework's encoder, extended by dataclasses, enumerations and structures.

    Decimals become text, as in serializers, which keeps their precision.
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
        TypeError, ValueError: JSON cannot represent it.
    """
    return json.dumps(value, cls=_Encoder, allow_nan=False)


#: Returns a text frame; see :func:`collab.protocol.json_frames.json_frame`.
frame = partial(json_frame, encode=as_json)


def spliced_frame(action: str, json: str, *, request_id: object = None, **more: object) -> str:
    """Return a text frame with encoded data, and ``more`` beside it."""
    rest = envelope(action, request_id=request_id) | more
    del rest["data"]
    return f'{{"data": {json}, {as_json(rest)[1:]}'
