"""Permissions of REST framework, alone and combined with ours in either order."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from rest_framework import permissions

from collab.live.permissions import (
    AllowAny,
    BasePermission,
    IsAuthenticated,
    ObservedAction,
    WrappedDRFPermission,
    permission_of,
)

pytestmark = pytest.mark.django_db(transaction=True)

#: REST framework does not know that others can be combined with its own.
rest: Any = permissions

ANN = User(pk=1, username="ann")
STAFF = User(pk=2, username="staff", is_staff=True)
NOBODY = AnonymousUser()


class No(BasePermission):
    async def has_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, **kwargs: Any
    ) -> bool:
        return False


class OwnRow(permissions.BasePermission):
    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return bool(obj == request.user.pk)


def scope(user: Any) -> dict[str, Any]:
    return {"type": "websocket", "path": "/ws/", "headers": [], "user": user}


async def allows(given: Any, user: Any, action: str = "list", **kwargs: Any) -> bool:
    return await permission_of(given).has_permission(scope(user), None, action, **kwargs)


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        (rest.IsAdminUser, [STAFF]),
        (rest.IsAdminUser | rest.IsAuthenticated, [ANN, STAFF]),
        (~rest.IsAdminUser, [NOBODY, ANN]),
        (rest.IsAdminUser & AllowAny, [STAFF]),
        (AllowAny & rest.IsAdminUser, [STAFF]),
        (rest.IsAdminUser & No, []),
        (No | rest.IsAdminUser, [STAFF]),
        (IsAuthenticated & ~rest.IsAdminUser, [ANN]),
        (rest.IsAuthenticated & ~IsAuthenticated, []),
        (~(IsAuthenticated | rest.AllowAny), []),
    ],
)
async def test_permissions_can_be_combined_in_any_order(given: Any, allowed: list[Any]) -> None:
    assert [user for user in (NOBODY, ANN, STAFF) if await allows(given, user)] == allowed


async def test_method_is_that_of_the_action() -> None:
    asked: list[tuple[str, Any]] = []

    class Noting(permissions.BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:
            asked.append((request.method, request.data))
            return True

    for action in ("list", "create", "update", "patch", "delete", "subscribe_instance", "own"):
        await allows(Noting, ANN, action, data={"a": 1}, pk=1)
    await allows(Noting, ANN, ObservedAction("update"))
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "GET", "POST", "GET"]
    assert [method for method, _ in asked] == methods
    assert [data for _, data in asked] == [{"a": 1}] * 7 + [{}]


async def test_a_client_that_may_read_nothing_cannot_connect() -> None:
    permission = permission_of(rest.IsAuthenticatedOrReadOnly & rest.IsAuthenticated)
    answers = [await permission.can_connect(scope(user), None) for user in (NOBODY, ANN)]
    assert answers == [False, True]


async def test_rows_are_asked_for() -> None:
    for given, answers in ((OwnRow, [True, False]), (~OwnRow, [False, True])):
        permission = permission_of(given)
        assert await permission.has_permission(scope(ANN), None, "patch")
        for row, answer in zip((1, 2), answers, strict=True):
            asked = permission.has_object_permission(scope(ANN), None, "patch", row)
            assert await asked is answer


def test_a_class_that_is_not_a_permission_is_refused() -> None:
    with pytest.raises(TypeError, match="is not a permission class"):
        permission_of(dict)
    assert isinstance(permission_of(rest.IsAdminUser), WrappedDRFPermission)
