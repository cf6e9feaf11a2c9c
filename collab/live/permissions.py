"""Permissions to connect and to call actions; classes combine with ``&``, ``|`` and ``~``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from inspect import isawaitable
from typing import Any, ClassVar

from asgiref.sync import iscoroutinefunction
from channels.db import database_sync_to_async
from rest_framework import permissions
from rest_framework.permissions import AND, OperandHolder, SingleOperandHolder

from collab.live.actions.requests import rest_request

__all__ = [
    "AllowAny",
    "BasePermission",
    "IsAuthenticated",
    "ObservedAction",
    "WrappedDRFPermission",
    "ask",
    "is_authenticated",
    "permission_of",
    "resolved",
]

#: Permissions of REST framework that depend on the user and the model only.
_OF_THE_USER = frozenset(
    {
        permissions.AllowAny,
        permissions.DjangoModelPermissions,
        permissions.DjangoModelPermissionsOrAnonReadOnly,
        permissions.IsAdminUser,
        permissions.IsAuthenticated,
        permissions.IsAuthenticatedOrReadOnly,
    }
)

Check = Coroutine[Any, Any, bool]


async def ask(question: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    """Return the answer of a project's method; one that is not async runs in a thread."""
    answer = await resolved(question, *args, **kwargs)
    return answer is not NotImplemented and bool(answer)


async def resolved(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the result of a project's function; one that is not async runs in a thread."""
    method = function if iscoroutinefunction(function) else database_sync_to_async(function)
    result = await method(*args, **kwargs)
    return await result if isawaitable(result) else result


class _Combined:
    """Operators of permission classes and their combinations."""

    def __and__(cls, other: Any) -> _Combination:
        return _Combination(_All, cls, other)

    def __or__(cls, other: Any) -> _Combination:
        return _Combination(_Any, cls, other)

    def __invert__(cls) -> _Combination:
        return _Combination(_negated, cls)


class _PermissionType(_Combined, type):  # type: ignore[misc]  # Classes have another ``|``.
    pass


class BasePermission(metaclass=_PermissionType):
    """A permission; subclasses refuse by returning False."""

    #: The answers depend on the user and the row only, not on the rest of the scope such as a
    #: token, a tenant or a session. Then connections of a user share results.
    depends_on_user_alone: bool = False

    def decides(self, question: str) -> bool:
        """Return whether the method ``question`` is overridden."""
        return getattr(type(self), question) is not getattr(BasePermission, question)

    async def can_connect(
        self, scope: dict[str, Any], consumer: Any, message: dict[str, Any] | None = None
    ) -> bool:
        """Return whether a client may connect."""
        return True

    async def has_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, **kwargs: Any
    ) -> bool:
        """Return whether the client may call an action; ``kwargs`` are its arguments."""
        return True

    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        """Return whether the client may call an action for a row."""
        return True


class AllowAny(BasePermission):
    """Permission for all clients."""

    depends_on_user_alone = True


class IsAuthenticated(BasePermission):
    """Permission for authenticated users; others cannot connect."""

    depends_on_user_alone = True

    async def can_connect(
        self, scope: dict[str, Any], consumer: Any, message: dict[str, Any] | None = None
    ) -> bool:
        return is_authenticated(scope)

    async def has_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, **kwargs: Any
    ) -> bool:
        return is_authenticated(scope)


def is_authenticated(scope: dict[str, Any]) -> bool:
    """Return whether the user of a connection is logged in."""
    return bool(getattr(scope.get("user"), "is_authenticated", False))


class ObservedAction(str):
    """``"update"`` and so on as a change of a row that is observed, not as a call."""


class WrappedDRFPermission(BasePermission):
    """A permission of REST framework, which sees actions as requests.

    Args:
        permission: an instance.
    """

    #: HTTP methods by action; all other actions count as POST.
    mapped_actions: ClassVar[Mapping[str, str]] = {
        "connect": "HEAD",
        "create": "POST",
        "delete": "DELETE",
        "list": "GET",
        "list_cancel": "GET",
        "patch": "PATCH",
        "retrieve": "GET",
        "subscribe_instance": "GET",
        "unsubscribe_instance": "GET",
        "update": "PUT",
    }

    def __init__(self, permission: Any) -> None:
        self._permission = permission
        self.depends_on_user_alone = type(permission) in _OF_THE_USER

    def decides(self, question: str) -> bool:
        name = "has_permission" if question == "can_connect" else question
        own = getattr(type(self._permission), name)
        return own is not getattr(permissions.BasePermission, name)

    async def can_connect(
        self, scope: dict[str, Any], consumer: Any, message: dict[str, Any] | None = None
    ) -> bool:
        return await self._ask("has_permission", scope, consumer, "connect")

    async def has_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, **kwargs: Any
    ) -> bool:
        return await self._ask("has_permission", scope, consumer, action, kwargs.get("data"))

    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        return await self._ask("has_object_permission", scope, consumer, action, None, instance)

    async def _ask(
        self, question: str, scope: Any, consumer: Any, action: str, data: Any = None, *args: Any
    ) -> bool:
        is_reading = isinstance(action, ObservedAction)
        method = "GET" if is_reading else self.mapped_actions.get(action, "POST")
        request = rest_request(scope, method, data=data)
        answer = getattr(self._permission, question)
        return bool(await database_sync_to_async(answer)(request, consumer, *args))


def permission_of(given: Any) -> BasePermission:
    """Return the permission for a class, or for a combination of classes.

    Raises:
        TypeError: ``given`` is neither.
    """
    if isinstance(given, OperandHolder):
        # REST framework's own operators would take our coroutines for True.
        operator: Any = given.operator_class
        make = _All if operator is AND else _Any
        return make(permission_of(given.op1_class), permission_of(given.op2_class))
    if isinstance(given, SingleOperandHolder):
        return _negated(permission_of(given.op1_class))
    made = given()
    if isinstance(made, permissions.BasePermission):
        return WrappedDRFPermission(made)
    if not isinstance(made, BasePermission):
        raise TypeError(f"{given} is not a permission class.")
    return made


class _Combination(_Combined):
    """A combination of classes, called like a class to create its permission."""

    def __init__(self, make: Callable[..., BasePermission], *parts: Any) -> None:
        self._make = make
        self._parts = parts

    def __call__(self) -> BasePermission:
        return self._make(*map(permission_of, self._parts))


class _All(BasePermission):
    """Allows if all parts do."""

    def __init__(self, *parts: BasePermission) -> None:
        self.parts = parts
        self.depends_on_user_alone = all(part.depends_on_user_alone for part in parts)

    def decides(self, question: str) -> bool:
        return any(part.decides(question) for part in self.parts)

    async def can_connect(self, *args: Any, **kwargs: Any) -> bool:
        return await self._ask(lambda part: ask(part.can_connect, *args, **kwargs))

    async def has_permission(self, *args: Any, **kwargs: Any) -> bool:
        return await self._ask(lambda part: ask(part.has_permission, *args, **kwargs))

    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        # One part has to allow both the call and the row: for "or", two halves are not enough.
        return await self._ask(lambda part: _holds(part, scope, consumer, action, instance))

    async def _ask(self, question: Callable[[BasePermission], Check]) -> bool:
        """Return whether all parts answer with True; stop at the first that does not."""
        for part in self.parts:
            if not await question(part):
                return False
        return True


class _Any(_All):
    """Allows if one part allows both the call and the row."""

    async def _ask(self, question: Callable[[BasePermission], Check]) -> bool:
        for part in self.parts:
            if await question(part):
                return True
        return False


class _Not(_All):
    """Refuses if its part allows; allows where the part does not decide."""

    async def can_connect(self, *args: Any, **kwargs: Any) -> bool:
        return not self.decides("can_connect") or not await super().can_connect(*args, **kwargs)

    async def has_permission(self, *args: Any, **kwargs: Any) -> bool:
        if self.decides("has_object_permission") or not self.decides("has_permission"):
            # Decided by the row.
            return True
        return not await super().has_permission(*args, **kwargs)

    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        if not (self.decides("has_object_permission") or self.decides("has_permission")):
            return True
        return not await super().has_object_permission(scope, consumer, action, instance)


def _negated(permission: BasePermission) -> BasePermission:
    """Return the negation of a permission, part by part: each knows its own questions."""
    if isinstance(permission, _Not):
        return permission.parts[0]
    if isinstance(permission, _Any):
        return _All(*map(_negated, permission.parts))
    if isinstance(permission, _All):
        return _Any(*map(_negated, permission.parts))
    return _Not(permission)


async def _holds(
    part: BasePermission, scope: dict[str, Any], consumer: Any, action: str, instance: Any
) -> bool:
    return await ask(part.has_permission, scope, consumer, action) and await ask(
        part.has_object_permission, scope, consumer, action, instance
    )
