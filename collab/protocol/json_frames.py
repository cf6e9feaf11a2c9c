"""Text frames: JSON objects in the one shape that all of them have."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

__all__ = ["decoder", "envelope", "json_frame", "read_json"]

#: Halves of surrogate pairs, escaped or not, whether they are in pairs or not.
_SURROGATE = re.compile(r"\\u[dD]|[\ud800-\udfff]")


def envelope(
    action: object,
    *,
    data: Any = None,
    request_id: object = None,
    errors: Sequence[Any] = (),
    status: int = 200,
) -> dict[str, Any]:
    """Return the content of a text frame."""
    return {
        "action": action,
        "request_id": request_id,
        "data": data,
        "errors": [*errors],
        "response_status": status,
    }


def json_frame(
    action: object,
    data: Any = None,
    *,
    request_id: object = None,
    errors: Sequence[Any] = (),
    status: int = 200,
    encode: Callable[[Any], str] = json.dumps,
) -> str:
    """Return a text frame; see :func:`envelope`."""
    return encode(envelope(action, data=data, request_id=request_id, errors=errors, status=status))


def read_json(frame: str) -> Any:
    """Return the value of a JSON text that can be sent on as JSON.

    Raises:
        ValueError: it is not valid, or has values that Python reads but other readers refuse: NaN,
            infinity, and halves of surrogate pairs.
        RecursionError: it is nested too deep.
    """
    value = _decode(frame)
    if not (frame.isascii() and "\\" not in frame) and _SURROGATE.search(frame):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _decode(text: str) -> Any:
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    # With white space around it, or not valid: the decoder's own functions know what to do.
    return value if end == len(text) else decoder.decode(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid in JSON.")


#: Reads the same texts as ``JSON.parse``.
decoder = json.JSONDecoder(parse_constant=_refuse_constant)
#: Reads one value, and returns the place behind it.
_scan: Callable[[str, int], tuple[Any, int]] = decoder.scan_once  # type: ignore[attr-defined]  # Missing in typeshed.
