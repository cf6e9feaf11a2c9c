"""How people look to each other in a page."""

from typing import TypedDict

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

DEMO_USERS = ("alice", "bob", "carol")
DEMO_PASSWORD = "demo"

#: Strong enough for white text on top, each told apart from its neighbours.
COLORS = ("#c2410c", "#1d4ed8", "#15803d", "#a21caf", "#0f766e", "#b91c1c", "#6d28d9", "#a16207")
GUEST_COLOR = "#475569"


class Person(TypedDict):
    """What others see of somebody: at the cursor and among those who are here."""

    name: str
    color: str


def person(user: AbstractBaseUser | AnonymousUser) -> Person:
    """Return how ``user`` looks to the others."""
    if user.pk is None:
        return {"name": "Guest", "color": GUEST_COLOR}
    return {"name": user.get_username().capitalize(), "color": COLORS[(user.pk - 1) % len(COLORS)]}
