from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from collab.history.users import display_name, user_names


class Robot:
    """A user of a model without full names."""

    def __str__(self) -> str:
        return "R2"


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (User(username="ann", first_name="Ann", last_name="Lee"), "Ann Lee"),
        (User(username="ann"), "ann"),
        (Robot(), "R2"),
    ],
)
def test_users_are_named_in_full_where_their_model_can(user: object, name: str) -> None:
    assert display_name(user) == name


@pytest.mark.django_db
def test_users_whom_the_model_does_not_have_have_no_names() -> None:
    ann = User.objects.create(username="ann")
    assert user_names([str(ann.pk), "0", "service-1", None]) == {str(ann.pk): "ann"}
