"""Actions: methods of a consumer that its clients may call, by name and with named arguments.

What a method takes and returns is what its annotations say, checked by msgspec, which knows the
types that JSON can stand for: numbers, texts, dates, lists, ``TypedDict``, dataclasses and so on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from typing import Any, ClassVar, TypeVar, cast, get_args, get_origin, get_type_hints, overload

import msgspec
from channels.db import database_sync_to_async
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from collab.live.errors import CallError

__all__ = ["Action", "Parameter", "action", "actions_of", "detached", "is_pair"]

F = TypeVar("F", bound=Callable[..., Any])

#: Attributes of a method.
_MARK = "_collab_action"
_DETACHED = "_collab_detached"
#: What permissions and methods are given beside the arguments.
_RESERVED = frozenset({"self", "scope", "consumer"})
#: Tells that there is no annotation, or no default.
_EMPTY = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an action takes under a name."""

    annotation: Any
    default: Any = _EMPTY

    @property
    def is_required(self) -> bool:
        """It has no default."""
        return self.default is _EMPTY


@dataclass(frozen=True)
class Action:
    """A method that clients may call.

    Args:
        function: the method.
        atomic: run it in a transaction; ``None``: as ``ATOMIC_REQUESTS`` has it.
        is_detached: it runs beside the connection's other actions, and ends with the connection.
        permission_classes: of the consumer if empty.
    """

    function: Callable[..., Any]
    atomic: bool | None = None
    is_detached: bool = False
    permission_classes: tuple[Any, ...] = ()

    #: What an action may ask for besides its arguments.
    CONTEXT: ClassVar = frozenset({"action", "request_id"})

    @property
    def name(self) -> str:
        """As clients call it."""
        return self.function.__name__

    @property
    def is_async(self) -> bool:
        """It runs in the event loop, not in a thread."""
        return inspect.iscoroutinefunction(self.function)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """What clients may give, in order."""
        return {
            name: Parameter(self._hints.get(name, Any), parameter.default)
            for name, parameter in self._signature.items()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            and name not in self.CONTEXT
        }

    @cached_property
    def takes_anything(self) -> bool:
        """It has ``**kwargs``."""
        return any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in self._signature.values()
        )

    @cached_property
    def result(self) -> Any:
        """The annotation of what it returns; ``inspect.Parameter.empty`` without one."""
        return self._hints.get("return", _EMPTY)

    @cached_property
    def _signature(self) -> dict[str, inspect.Parameter]:
        # Without ``self``.
        return dict(list(inspect.signature(self.function).parameters.items())[1:])

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    def bind(self, arguments: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments to call it with.

        Args:
            arguments: of the client, as JSON has them.
            context: what there is of ``CONTEXT``.

        Raises:
            CallError: 400, with reasons by argument.
        """
        errors: dict[str, list[str]] = {}
        bound = {
            name: value
            for name, value in context.items()
            if self.takes_anything or name in self._signature
        }
        for name, value in arguments.items():
            if parameter := self.parameters.get(name):
                try:
                    bound[name] = msgspec.convert(value, parameter.annotation)
                except msgspec.ValidationError as error:
                    errors[name] = [f"{error}."]
            elif self.takes_anything and name not in _RESERVED:
                bound[name] = value
            else:
                errors[name] = ["There is no such argument."]
        for name, parameter in self.parameters.items():
            if parameter.is_required and name not in arguments:
                errors[name] = ["This argument is required."]
        if errors:
            raise CallError(400, errors)
        return bound

    def run(self, consumer: Any, arguments: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        """Return what calls it; one that is not async runs in a thread."""
        if self.is_async:
            return cast("Coroutine[Any, Any, Any]", self.function(consumer, **arguments))
        call = transaction.atomic(self.function) if self._is_atomic else self.function
        return cast("Coroutine[Any, Any, Any]", database_sync_to_async(call)(consumer, **arguments))

    @property
    def _is_atomic(self) -> bool:
        if self.atomic is not None:
            return self.atomic
        return bool(connections[DEFAULT_DB_ALIAS].settings_dict["ATOMIC_REQUESTS"])

    def answer(self, result: Any) -> tuple[Any, int]:
        """Return data and status of what it has returned.

        Without an annotation, or with that of a pair, a pair is the two of them.

        Raises:
            TypeError: what was returned is not what the annotation says.
        """
        if self.result is _EMPTY or is_pair(self.result):
            match result:
                case (data, int() as status):
                    return data, status
                case None:
                    return None, 204
            return result, 200
        try:
            return msgspec.convert(result, self.result), 200
        except msgspec.ValidationError as error:
            raise TypeError(f"The action {self.name} returns something else: {error}") from error


def is_pair(annotation: Any) -> bool:
    """Tell whether it is of data and status, as djangochannelsrestframework has them."""
    return get_origin(annotation) is tuple and get_args(annotation)[1:] == (int,)


@overload
def action(function: F, /) -> F: ...
@overload
def action(
    *, atomic: bool | None = None, detached: bool = False, permission_classes: Sequence[Any] = ()
) -> Callable[[F], F]: ...
def action(
    function: Any = None,
    /,
    *,
    atomic: bool | None = None,
    detached: bool = False,
    permission_classes: Sequence[Any] = (),
) -> Any:
    """Let clients call a method of a ``LiveConsumer``: ``@action`` or ``@action(...)``.

    A method that is not async runs in a thread, where it may use the database.

    Args:
        function: the method.
        atomic: of one that is not async: run it in a transaction; by default as
            ``ATOMIC_REQUESTS`` of the default database has it.
        detached: let it run beside the connection's other actions, and end it with the connection.
        permission_classes: in place of the consumer's.

    Raises:
        TypeError: it is async and to be atomic, while Django has no transactions there; or it has
            a parameter of a name that permissions need.
    """

    def mark(function: F) -> F:
        body = getattr(function, _DETACHED, function)
        if taken := _RESERVED & set(list(inspect.signature(body).parameters)[1:]):
            raise TypeError(f"{function.__name__}: name {', '.join(sorted(taken))} otherwise.")
        if atomic and inspect.iscoroutinefunction(body):
            raise TypeError(f"{function.__name__} is async, so it cannot be atomic.")
        is_detached = detached or body is not function
        setattr(function, _MARK, Action(body, atomic, is_detached, tuple(permission_classes)))
        return function

    return mark if function is None else mark(function)


def detached(function: F) -> F:
    """Let a call of an async method return at once; what it does ends with the connection.

    Below ``@action`` it is the same as ``@action(detached=True)``.
    """

    @wraps(function)
    async def start(consumer: Any, *args: Any, **kwargs: Any) -> None:
        consumer.start_detached(function(consumer, *args, **kwargs))

    setattr(start, _DETACHED, function)
    return cast("F", start)


def actions_of(consumer: type) -> Mapping[str, Action]:
    """Return the actions of a consumer class by name, those that it inherits included."""
    return _marked(consumer)


@cache
def _marked(consumer: type) -> dict[str, Action]:
    # What a subclass has in place of an action is one if it is marked as such.
    marks = {
        name: getattr(inspect.getattr_static(consumer, name), _MARK, None) for name in dir(consumer)
    }
    return {name: mark for name, mark in marks.items() if isinstance(mark, Action)}
