"""Actions: methods of a consumer that clients call by name, with named arguments.

msgspec checks arguments and results against the method's annotations. It supports the types that
JSON can represent: numbers, texts, dates, lists, ``TypedDict``, dataclasses and so on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, wraps
from typing import Any, ClassVar, TypeVar, cast, get_args, get_origin, get_type_hints, overload

import msgspec
from asgiref.sync import iscoroutinefunction
from channels.db import database_sync_to_async
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from collab.engine.runtime.per_loop import is_in_event_loop
from collab.live.errors import CallError

__all__ = ["Action", "Parameter", "action", "action_of", "actions_of", "detached", "is_pair"]

F = TypeVar("F", bound=Callable[..., Any])

#: Attributes of a method.
_MARK = "_collab_action"
_DETACHED = "_collab_detached"
#: Names of parameters that permissions and methods get beside the arguments.
_RESERVED = frozenset({"self", "scope", "consumer"})
_NONE = (None, type(None))
#: Stands for a missing annotation or default.
_EMPTY = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an action."""

    annotation: Any
    default: Any = _EMPTY

    @property
    def is_required(self) -> bool:
        """Whether it has no default."""
        return self.default is _EMPTY

    @property
    def takes_null(self) -> bool:
        """Whether its default is null, which its annotation may leave out."""
        return self.default is None

    def convert(self, value: Any) -> Any:
        """Return a value from a client as the annotation has it."""
        if value is None and self.takes_null:
            return None
        return msgspec.convert(value, self.annotation)


@dataclass(frozen=True)
class Action:
    """A method that clients may call.

    Args:
        function: the method.
        decorated: the attribute of the class, if there are decorators between the two.
        atomic: run it in a transaction; ``None``: if ``ATOMIC_REQUESTS`` is set.
        is_detached: run it beside the connection's other actions until the connection ends.
        permission_classes: replace those of the consumer unless empty.
    """

    function: Callable[..., Any]
    decorated: Callable[..., Any]
    atomic: bool | None = None
    is_detached: bool = False
    permission_classes: tuple[Any, ...] = ()

    #: Parameters that the server fills in.
    CONTEXT: ClassVar = frozenset({"action", "request_id"})

    @property
    def name(self) -> str:
        """The name that clients use."""
        return self.function.__name__

    @property
    def is_async(self) -> bool:
        """Whether it runs in the event loop instead of a thread."""
        return iscoroutinefunction(self.function)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters that clients may set, in order."""
        return {
            name: Parameter(self._hints.get(name, Any), parameter.default)
            for name, parameter in self._signature.items()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            and name not in self.CONTEXT
        }

    @cached_property
    def takes_anything(self) -> bool:
        """Whether it has ``**kwargs``."""
        return any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in self._signature.values()
        )

    @cached_property
    def result(self) -> Any:
        """The annotation of the result; ``inspect.Parameter.empty`` without one."""
        return self._hints.get("return", _EMPTY)

    @cached_property
    def _signature(self) -> dict[str, inspect.Parameter]:
        # Without ``self``.
        return dict(list(inspect.signature(self.function).parameters.items())[1:])

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    def bind(self, arguments: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of a call.

        Args:
            arguments: from the client, as decoded JSON.
            context: the values for ``CONTEXT``.

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
                    bound[name] = parameter.convert(value)
                except msgspec.ValidationError as error:
                    errors[name] = [f"{error}."]
            elif self.takes_anything and name not in _RESERVED:
                bound[name] = value
            else:
                errors[name] = ["Unknown argument."]
        for name, parameter in self.parameters.items():
            if parameter.is_required and name not in arguments:
                errors[name] = ["This argument is required."]
        if errors:
            raise CallError(400, errors)
        return bound

    async def run(self, consumer: Any, arguments: dict[str, Any]) -> Any:
        """Return the result of the method, which runs in a thread unless it is async."""
        if self.is_async:
            return await self.function(consumer, **arguments)
        result = await self.run_in_thread(consumer, **arguments)
        # A decorator that is not async may wrap a method that is.
        return await result if inspect.isawaitable(result) else result

    async def run_in_thread(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of a method that is not async, in a transaction if it is atomic."""
        call = transaction.atomic(self.function) if self._is_atomic else self.function
        return await database_sync_to_async(call)(*args, **kwargs)

    @property
    def _is_atomic(self) -> bool:
        if self.atomic is not None:
            return self.atomic
        return bool(connections[DEFAULT_DB_ALIAS].settings_dict["ATOMIC_REQUESTS"])

    def answer(self, result: Any) -> tuple[Any, int] | None:
        """Return data and status for the result of a call; ``None`` to send no answer.

        Without an annotation, or with one for a pair, a result that is a pair is data and status,
        and ``None`` is not answered: the method answers itself. ``-> None`` is answered with 204.

        Raises:
            TypeError: the result does not match the annotation.
        """
        if self.result is _EMPTY or is_pair(self.result):
            match result:
                case (data, int() as status):
                    return data, status
                case None:
                    return None
            return result, 200
        try:
            data = msgspec.convert(result, self.result)
        except msgspec.ValidationError as error:
            raise TypeError(f"Result of action {self.name} is not valid: {error}") from error
        return data, 204 if self.result in _NONE else 200


def is_pair(annotation: Any) -> bool:
    """Return whether an annotation is for data and status, as in djangochannelsrestframework."""
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
    """Make a method of a ``LiveConsumer`` callable by clients: ``@action`` or ``@action(...)``.

    A method that is not async runs in a thread, where it may use the database. Called on ``self``,
    it can be awaited in async methods, and returns its result in others.

    Args:
        function: the method.
        atomic: run a method that is not async in a transaction; by default if
            ``ATOMIC_REQUESTS`` is set for the default database.
        detached: run it beside the connection's other actions until the connection ends.
        permission_classes: replace those of the consumer.

    Raises:
        TypeError: a parameter has a name that permissions need.
        ValueError: an async method is atomic, which Django does not support.
    """

    def mark(function: F) -> F:
        body = getattr(function, _DETACHED, function)
        if taken := _RESERVED & set(list(inspect.signature(body).parameters)[1:]):
            names = ", ".join(sorted(taken))
            raise TypeError(f"{function.__name__}: rename parameter {names}, which is reserved.")
        if atomic and iscoroutinefunction(body):
            raise ValueError(f"{function.__name__} is async and cannot be atomic.")
        is_detached = detached or body is not function
        found = Action(body, function, atomic, is_detached, tuple(permission_classes))
        if not iscoroutinefunction(function):
            found = replace(found, decorated=_callable_anywhere(found))
        setattr(found.decorated, _MARK, found)
        return cast("F", found.decorated)

    return mark if function is None else mark(function)


def _callable_anywhere(method: Action) -> Callable[..., Any]:
    """Return a method that can be awaited in an event loop and called elsewhere."""

    @wraps(method.function)
    def call(*args: Any, **kwargs: Any) -> Any:
        run = method.run_in_thread if is_in_event_loop() else method.function
        return run(*args, **kwargs)

    return call


def detached(function: F) -> F:
    """Make calls of an async method return at once and run until the connection ends.

    Below ``@action`` it means ``@action(detached=True)``.
    """

    @wraps(function)
    async def start(consumer: Any, *args: Any, **kwargs: Any) -> None:
        consumer.start_detached(function(consumer, *args, **kwargs))

    setattr(start, _DETACHED, function)
    return cast("F", start)


def action_of(attribute: object) -> Action | None:
    """Return the action that an attribute of a consumer class is; ``None`` if it is none."""
    found = getattr(attribute, _MARK, None)
    if not isinstance(found, Action):
        return None
    if found.decorated is attribute:
        return found
    # A decorator above ``@action``, such as one made with ``functools.wraps``, is called as well.
    is_detached = found.is_detached and found.function is found.decorated
    function = cast("Callable[..., Any]", attribute)
    return replace(found, function=function, decorated=function, is_detached=is_detached)


def actions_of(consumer: type) -> Mapping[str, Action]:
    """Return the actions of a consumer class by name, inherited ones included."""
    return _marked(consumer)


@cache
def _marked(consumer: type) -> dict[str, Action]:
    # An override of an action is an action only if it is decorated, too.
    marks = {name: action_of(inspect.getattr_static(consumer, name)) for name in dir(consumer)}
    return {name: mark for name, mark in marks.items() if mark is not None}
