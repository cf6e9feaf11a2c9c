"""Who may connect and call what: classes that can be combined with ``&``, ``|`` and ``~``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, ClassVar

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
    "permission_of",
]

Check = Coroutine[Any, Any, bool]


class _Combined:
    """Lets classes, and what they are combined to, be combined."""

    def __and__(cls, other: Any) -> _Combination:
        return _Combination(_All, cls, other)

    def __or__(cls, other: Any) -> _Combination:
        return _Combination(_Any, cls, other)

    def __invert__(cls) -> _Combination:
        return _Combination(_negated, cls)


class _PermissionType(_Combined, type):  # type: ignore[misc]  # Classes have another ``|``.
    pass


class BasePermission(metaclass=_PermissionType):
    """A permission; subclasses say no by returning False."""

    def says(self, question: str) -> bool:
        """Tell whether it has an opinion of its own of what the method ``question`` asks."""
        return getattr(type(self), question) is not getattr(BasePermission, question)

    async def can_connect(
        self, scope: dict[str, Any], consumer: Any, message: dict[str, Any] | None = None
    ) -> bool:
        """Tell whether somebody may connect."""
        return True

    async def has_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, **kwargs: Any
    ) -> bool:
        """Tell whether the action may be called; ``kwargs`` are its arguments."""
        return True

    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        """Tell whether the action may be called for a row."""
        return True


class AllowAny(BasePermission):
    """Everybody."""


class IsAuthenticated(BasePermission):
    """Those who are logged in; others may not even connect."""

    async def can_connect(
        self, scope: dict[str, Any], consumer: Any, message: dict[str, Any] | None = None
    ) -> bool:
        return _is_authenticated(scope)

    async def has_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, **kwargs: Any
    ) -> bool:
        return _is_authenticated(scope)


def _is_authenticated(scope: dict[str, Any]) -> bool:
    return bool(getattr(scope.get("user"), "is_authenticated", False))


class ObservedAction(str):
    """``"update"`` and the like as what has happened to a row, not as what somebody calls."""


class WrappedDRFPermission(BasePermission):
    """A permission of REST framework: actions are asked for as requests of a method.

    Args:
        permission: an instance.
    """

    #: Methods by action; of others nobody knows what they do, so they are asked for as a POST.
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

    def says(self, question: str) -> bool:
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
    """Return the permission that a class stands for, or some classes that are combined.

    Raises:
        TypeError: it stands for none.
    """
    if isinstance(given, OperandHolder):
        # By REST framework, which would take the coroutines that we answer with for a yes.
        operator: Any = given.operator_class
        make = _All if operator is AND else _Any
        return make(permission_of(given.op1_class), permission_of(given.op2_class))
    if isinstance(given, SingleOperandHolder):
        return _negated(permission_of(given.op1_class))
    made = given()
    if isinstance(made, permissions.BasePermission):
        return WrappedDRFPermission(made)
    if not isinstance(made, BasePermission):
        raise TypeError(f"{given} is no permission.")
    return made


class _Combination(_Combined):
    """Stands for a class: makes a permission of those that its parts make."""

    def __init__(self, make: Callable[..., BasePermission], *parts: Any) -> None:
        self._make = make
        self._parts = parts

    def __call__(self) -> BasePermission:
        return self._make(*map(permission_of, self._parts))


class _All(BasePermission):
    """Says yes if all parts do."""

    def __init__(self, *parts: BasePermission) -> None:
        self.parts = parts

    def says(self, question: str) -> bool:
        return any(part.says(question) for part in self.parts)

    async def can_connect(self, *args: Any, **kwargs: Any) -> bool:
        return await _each(part.can_connect(*args, **kwargs) for part in self.parts)

    async def has_permission(self, *args: Any, **kwargs: Any) -> bool:
        return await _each(part.has_permission(*args, **kwargs) for part in self.parts)

    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        # One that may be called by these, and touch the row by those, is not enough for "or".
        return await _each(_holds(part, scope, consumer, action, instance) for part in self.parts)


class _Any(_All):
    """Says yes if a part does: not this one about the call and that one about the row."""

    async def can_connect(self, *args: Any, **kwargs: Any) -> bool:
        return not await _each(_no(part.can_connect(*args, **kwargs)) for part in self.parts)

    async def has_permission(self, *args: Any, **kwargs: Any) -> bool:
        return not await _each(_no(part.has_permission(*args, **kwargs)) for part in self.parts)

    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        return not await _each(
            _no(_holds(part, scope, consumer, action, instance)) for part in self.parts
        )


class _Not(_All):
    """Says no if its part does not; to what the part has no opinion of, it says yes."""

    async def can_connect(self, *args: Any, **kwargs: Any) -> bool:
        return not self.says("can_connect") or not await super().can_connect(*args, **kwargs)

    async def has_permission(self, *args: Any, **kwargs: Any) -> bool:
        if self.says("has_object_permission") or not self.says("has_permission"):
            # Only the row tells.
            return True
        return not await super().has_permission(*args, **kwargs)

    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        if not (self.says("has_object_permission") or self.says("has_permission")):
            return True
        return not await super().has_object_permission(scope, consumer, action, instance)


def _negated(permission: BasePermission) -> BasePermission:
    """Return what says the contrary, part by part: these know of what they have an opinion."""
    if isinstance(permission, _Not):
        return permission.parts[0]
    if isinstance(permission, _Any):
        return _All(*map(_negated, permission.parts))
    if isinstance(permission, _All):
        return _Any(*map(_negated, permission.parts))
    return _Not(permission)


async def _each(answers: Iterable[Check]) -> bool:
    """Tell whether all answers are yes; who comes behind the first no is not asked."""
    for answer in answers:
        if not await answer:
            return False
    return True


async def _no(answer: Check) -> bool:
    return not await answer


async def _holds(
    part: BasePermission, scope: dict[str, Any], consumer: Any, action: str, instance: Any
) -> bool:
    return await part.has_permission(scope, consumer, action) and await part.has_object_permission(
        scope, consumer, action, instance
    )
