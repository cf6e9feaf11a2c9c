"""Names and colours of users, as others see them beside a text."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from django.utils.translation import gettext as _

from collab.history.users import display_name

__all__ = ["COLORS", "person"]

#: Colours of cursors, dark enough for white text.
COLORS: Final = (
    *("#c2410c", "#1d4ed8", "#15803d", "#a21caf", "#0f766e", "#b91c1c", "#6d28d9", "#a16207"),
)
_GUEST_COLOR: Final = "#475569"


def person(user: Any) -> dict[str, str]:
    """Return the ``name``, the ``color`` and the ``id`` of a user; a guest's id is empty."""
    if getattr(user, "pk", None) is None:
        return {"name": _("Guest"), "color": _GUEST_COLOR, "id": ""}
    key = str(user.pk)
    color = COLORS[int(sha256(key.encode()).hexdigest(), 16) % len(COLORS)]
    return {"name": display_name(user), "color": color, "id": key}
