"""Names and colours of users."""

from typing import TypedDict

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

DEMO_USERS = ("alice", "bob", "carol")
DEMO_PASSWORD = "demo"

#: Dark enough for white text, each distinct from its neighbours.
COLORS = ("#c2410c", "#1d4ed8", "#15803d", "#a21caf", "#0f766e", "#b91c1c", "#6d28d9", "#a16207")
GUEST_COLOR = "#475569"


class Person(TypedDict):
    """The name and colour of a user, at the cursor and in the list of users."""

    name: str
    color: str


def person(user: AbstractBaseUser | AnonymousUser) -> Person:
    """Return the name and colour of a user."""
    if user.pk is None:
        return {"name": "Guest", "color": GUEST_COLOR}
    return {"name": user.get_username().capitalize(), "color": COLORS[(user.pk - 1) % len(COLORS)]}
