"""Permissions and what they are combined to."""

from __future__ import annotations

from typing import Any

import pytest

from collab.live.permissions import AllowAny, BasePermission, IsAuthenticated


class Logged(IsAuthenticated):
    pass


class Even(BasePermission):
    async def has_permission(self, scope: Any, consumer: Any, action: str, **kwargs: Any) -> bool:
        return int(scope["number"]) % 2 == 0


class Owner(BasePermission):
    async def has_object_permission(
        self, scope: Any, consumer: Any, action: str, instance: Any
    ) -> bool:
        return bool(scope["user"] == instance)


class Somebody:
    is_authenticated = True


ANN = Somebody()


async def may(permission: Any, *, number: int = 0, user: Any = None) -> tuple[bool, bool, bool]:
    """Return whether one may connect, call, and call for one's own row."""
    asked = permission()
    scope = {"number": number, "user": user}
    return (
        await asked.can_connect(scope, None, None),
        await asked.has_permission(scope, None, "act"),
        await asked.has_object_permission(scope, None, "act", ANN),
    )


@pytest.mark.parametrize(
    ("permission", "number", "user", "expected"),
    [
        (AllowAny, 1, None, (True, True, True)),
        (~AllowAny, 1, None, (True, True, True)),
        (Logged, 1, None, (False, False, True)),
        (Logged, 1, ANN, (True, True, True)),
        (~Logged, 1, None, (True, True, True)),
        (~Logged, 1, ANN, (False, False, False)),
        (Even & Logged, 2, ANN, (True, True, True)),
        (Even & Logged, 2, None, (False, False, False)),
        (Even & Logged, 1, ANN, (True, False, False)),
        (Even | Logged, 1, ANN, (True, True, True)),
        (Even | Logged, 2, None, (True, True, True)),
        (Even | Logged, 1, None, (True, False, False)),
        (~Even, 1, None, (True, True, True)),
        (~Even, 2, None, (True, False, False)),
        (Owner, 1, None, (True, True, False)),
        (~~Even, 1, None, (True, False, True)),
        (~Owner, 1, None, (True, True, True)),
        (~Owner, 1, ANN, (True, True, False)),
        # One who may by this, and owns by that, is not let through by "or".
        (Even | Owner, 1, ANN, (True, True, True)),
        (Even | Owner, 1, None, (True, True, False)),
        (Even | (Owner & Logged), 1, None, (True, False, False)),
        (~(Even | Logged) & ~Owner, 1, None, (True, True, True)),
        (~(Even | Logged), 2, ANN, (False, False, False)),
        (~(Even & Logged), 2, None, (True, True, True)),
    ],
)
async def test_permissions_combine_as_logic_does(
    permission: Any, number: int, user: Any, expected: tuple[bool, bool, bool]
) -> None:
    assert await may(permission, number=number, user=user) == expected


async def test_permissions_after_a_refusal_are_not_asked() -> None:
    class Never(BasePermission):
        async def has_permission(
            self, scope: Any, consumer: Any, action: str, **kwargs: Any
        ) -> bool:
            raise AssertionError

    assert not await (Even & Never)().has_permission({"number": 1}, None, "act")
    assert await (Even | Never)().has_permission({"number": 2}, None, "act")
